import t from 'tap';
import { type PagesReport, renderPages, reportPage, slowPages } from '../../scripts/bench/pages/pages-report.ts';
import { runScript } from '../helpers/scripts.ts';

t.test('a short bench of pages asks for each of them, and prints one JSON document', async (t) => {
  const { code, out, err } = await runScript('bench-pages', '--json --rows 3000 --users 20 --runs 2');
  t.ok(code === 0 || /^More than 100 ms: /m.test(err), err);
  const report: PagesReport = JSON.parse(out);
  t.match(report, { users: 20, rows: 3_000, runs: 2 });
  t.ok(report.pages.length > 20);
  for (const page of report.pages) {
    t.match(page, { title: String, ms: { median: Number, min: Number, max: Number }, inTime: Number });
    t.ok(page.ms.min > 0, page.title);
  }
  t.equal(code === 0, slowPages(report).length === 0);
});

t.test('a page is slow when half of its runs take more than 100 ms', async (t) => {
  const pages = [reportPage('fast', [1, 2, 100, 500]), reportPage('slow', [1, 101, 102])];
  const machine = { node: 'Node', system: 'Linux', processor: 'one' };
  const report = { machine, users: 1, rows: 1, runs: 4, pages };
  t.same(
    slowPages(report).map(({ title }) => title),
    ['slow'],
  );
  t.match(renderPages(report), /\| fast +\| +51\.0 \| +500\.0 \| +3 of 4 \|/);
});
