import t from 'tap';
import { formatFields, formatTable } from '../../src/cli/output.ts';

t.test('columns are aligned, numbers to the right, nothing as a dash', async (t) => {
  const table = formatTable(
    ['name', 'credits', 'plan'],
    [
      ['Zoë', 5, 'Basic'],
      ['A longer name', -5000, null],
    ],
  );
  t.equal(
    table,
    ['NAME           CREDITS  PLAN', 'Zoë                  5  Basic', 'A longer name    -5000  -'].join('\n'),
  );
});

t.test('a table without rows is its headings', async (t) => {
  t.equal(formatTable(['id', 'name'], []), 'ID  NAME');
});

t.test('what another person wrote cannot move the cursor or hide text', async (t) => {
  t.equal(formatFields({ id: 1, name: 'a\u001b[2J\u202eb' }), 'id    1\nname  a\\u{1b}[2J\\u{202e}b');
});
