import t from 'tap';
import { findPathFault, isReserved, looselyRead, spellPath } from '../../src/config/paths.ts';

t.test('a path with one reading is fine, whatever else it holds', async (t) => {
  for (const path of ['/', '/v1', '/v1/', '/a%20b', '/a%2Fb', '/a..b', '/...', "/~!$&'()*+,=:@", '/A']) {
    t.equal(findPathFault(path), null, path);
  }
});

t.test('a path that could be read in two ways is not', async (t) => {
  const faults: [path: string, message: RegExp][] = [
    ['/a?b', /query/],
    ['/a#b', /fragment/],
    ['/a%', /%/],
    ['/a%2', /%/],
    ['/a%zz', /%/],
    ['/a\\b', /backslash/],
    ['/a;b', /semicolon/],
    ['/users/:id', /pattern/],
    ['/users/{id}', /pattern/],
    ['/h*', /pattern/],
    ['/*/b', /pattern/],
    ['//', /empty segment/],
    ['/a//b', /empty segment/],
    ['/.', /dot segment/],
    ['/a/../b', /dot segment/],
    ['/a/%2e%2E/b', /dot segment/],
    ['/a/%252e', /dot segment/],
    ['/a%2f..%5cb', /dot segment/],
    ['/a%00', /control/],
    ['/a%250a', /control/],
  ];
  for (const [path, message] of faults) t.match(findPathFault(path)?.message, message, path);
});

t.test('the prefix of the gateway is reserved in every reading, on segment boundaries', async (t) => {
  for (const path of ['/_tollgate', '/_tollgate/x', '/_TOLLGATE/', '/%5ftollgate', '/_tollgate%2fx']) {
    t.ok(isReserved(path), path);
  }
  for (const path of ['/', '/_tollgates', '/a/_tollgate', '/tollgate']) t.notOk(isReserved(path), path);
});

t.test('the loose reading decodes until stable, merges, cuts and lowers', async (t) => {
  t.equal(looselyRead('/A%2fB;x=1//c\\%2541'), '/a/b/c/a');
  t.equal(looselyRead('/%25252541'), '/a');
});

t.test('a slash at the end of a prefix says nothing, but for the root', async (t) => {
  t.same(
    ['/', '/a', '/a/'].map((path) => spellPath(path)),
    ['/', '/a', '/a'],
  );
  t.equal(spellPath('/a/', true), '/a/');
});
