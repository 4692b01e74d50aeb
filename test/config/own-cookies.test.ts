import t from 'tap';
import { ownCookiePrefix, setsOwnCookie, withoutOwnCookies } from '../../src/config/own-cookies.ts';

/** All of them the gateway's, to some reader of cookies. */
const own = [
  'tollgate_session=x',
  '__Host-tollgate_session=x',
  '__Secure-tollgate_session=x',
  'tollgate_state_google=x',
  'TOLLGATE_Session=x',
  '__hOST-Tollgate_session=x',
  'tollgate_session =x',
  'tollgate_session\t = x',
  ' \ttollgate_session=x',
  '\xa0tollgate_session=x',
  'tollgate_session',
  'tollgate_',
  '=tollgate_session=x',
  '=tollgate_session',
  ' = \t=__Host-tollgate_session=x',
];

/** None of them is, however much it looks like one. */
const others = [
  'session=tollgate_session',
  'a=__Host-tollgate_session=x',
  'xtollgate_session=x',
  'x-__Host-tollgate_session=x',
  'tollgate=x',
  'tollgate-session=x',
  '"tollgate_session"=x',
];

t.test("no spelling of one of the gateway's cookies gets past", async (t) => {
  for (const cookie of own) {
    t.ok(setsOwnCookie(`${cookie}; Path=/; HttpOnly`), cookie);
    t.equal(withoutOwnCookies(cookie), null, cookie);
    t.equal(withoutOwnCookies(`a=1;${cookie};b=2`), 'a=1;b=2', cookie);
  }
  t.equal(ownCookiePrefix, 'tollgate_');
});

t.test('cookies of others stay, whatever their value', async (t) => {
  for (const cookie of others) {
    t.notOk(setsOwnCookie(`${cookie}; Path=/`), cookie);
    t.equal(withoutOwnCookies(`${cookie}; tollgate_session=x`), cookie, cookie);
  }
  t.notOk(setsOwnCookie('a=1; Path=/tollgate_; tollgate_session=x'), 'an attribute is no name');
  t.notOk(setsOwnCookie(''));
});

t.test('what is left of a field is left byte for byte', async (t) => {
  const fields: Record<string, string | null> = {
    'a=1; b=2': 'a=1; b=2',
    '': '',
    ' ;; a ;b=2;': ' ;; a ;b=2;',
    'b=2; tollgate_session=x; a=1': 'b=2; a=1',
    'tollgate_session=x; b=2;a=1': 'b=2;a=1',
    'tollgate_session=x;tollgate_state_idp=y;  b=2 ; a': 'b=2 ; a',
    'b=2;  a=1;tollgate_session=x': 'b=2;  a=1',
    'nameless; tollgate_session=x; =b; a="1"; a="2"': 'nameless; =b; a="1"; a="2"',
    'b="1; tollgate_session=x"; a=1': 'b="1; a=1',
    ' b=2; tollgate_session=x': ' b=2',
    '\xe9=\xff; tollgate_session=x': '\xe9=\xff',
    'a=tollgate_session; b=2': 'a=tollgate_session; b=2',
    'tollgate_session=x; __Host-tollgate_session=y': null,
    'tollgate_session=x; ;\t;': null,
  };
  for (const [field, left] of Object.entries(fields)) t.equal(withoutOwnCookies(field), left, JSON.stringify(field));
});
