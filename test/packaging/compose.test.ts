import { readFileSync } from 'node:fs';
import ms, { type StringValue } from 'ms';
import t from 'tap';
import { parse } from 'yaml';
import { healthCommandOf, readDockerfile, settingOf } from './dockerfile.ts';
import { isCommand, parseGatewayFile, stopMaxMs } from './gateway-file.ts';

interface Service {
  readonly build?: string;
  readonly ports?: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly volumes: readonly string[];
  readonly networks: readonly string[];
  readonly healthcheck: { readonly test: readonly string[] };
  readonly stop_grace_period: StringValue;
}

interface Compose {
  readonly services: Readonly<Record<'gateway' | 'api' | 'postgres', Service>>;
  readonly volumes: Readonly<Record<string, unknown>>;
  readonly networks: Readonly<Record<string, unknown>>;
}

const image = readDockerfile();
const text = readFileSync('config/compose.yaml', 'utf8');
const { services, volumes, networks } = parse(text) as Compose;
const { gateway, api, postgres } = services;
/** What Compose makes of `${POSTGRES_PASSWORD:?…}`. */
const databaseUrl = gateway.environment['DATABASE_URL']?.replace(/\$\{POSTGRES_PASSWORD:\?[^}]+\}/, 'secret') ?? '';
const [mounted = '', place] = gateway.volumes[0]?.split(':') ?? [];
const gatewayFile = readFileSync(`config/${mounted}`, 'utf8');

t.test('the gateway.yaml of the compose file is valid, and mounted where the image looks for it', async (t) => {
  const { variables } = parseGatewayFile(t, gatewayFile, { DATABASE_URL: databaseUrl });
  t.same(variables, ['DATABASE_URL']);
  t.equal(place, image.env['TOLLGATE_CONFIG']);
});

t.test('the compose file publishes the ports of the gateway, those for operators on loopback alone', async (t) => {
  const { config } = parseGatewayFile(t, gatewayFile, { DATABASE_URL: databaseUrl });
  t.same(gateway.ports, [
    `${config.server.port}:${config.server.port}`,
    `127.0.0.1:${config.ops.port}:${config.ops.port}`,
  ]);
});

t.test('callers reach the API of the compose file through the gateway alone', async (t) => {
  const { config } = parseGatewayFile(t, gatewayFile, { DATABASE_URL: databaseUrl });
  t.equal(config.upstreams['api']?.url, 'http://api:4000');
  t.match(text, 'it listens on port 4000');
  t.equal(api.ports, undefined);
  t.same(gateway.networks, Object.keys(networks));
  t.same([...api.networks, ...postgres.networks], gateway.networks, 'each in a network of its own with the gateway');
});

t.test('the gateway of the compose file finds its database', async (t) => {
  const url = new URL(databaseUrl);
  const { POSTGRES_USER, POSTGRES_DB } = postgres.environment;
  t.same([url.hostname, url.port, url.username, url.pathname], ['postgres', '5432', POSTGRES_USER, `/${POSTGRES_DB}`]);
  t.ok(gateway.environment['DATABASE_URL']?.includes(postgres.environment['POSTGRES_PASSWORD'] ?? '?'), 'one password');
  t.equal(postgres.ports, undefined);
});

t.test('the gateway of the compose file is locked in, and writes to its volume alone', async (t) => {
  t.match(gateway, { build: '..', read_only: true, cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'] });
  t.equal(gateway.volumes[1], `data:${settingOf(image, 'VOLUME')}`);
  t.same(Object.keys(volumes), ['data', 'postgres']);
});

t.test('the compose file asks for health as the image does, and waits for the gateway to stop', async (t) => {
  const { config } = parseGatewayFile(t, gatewayFile, { DATABASE_URL: databaseUrl });
  t.same(gateway.healthcheck.test, ['CMD', ...healthCommandOf(image)]);
  isCommand(t, gateway.healthcheck.test.slice(2));
  t.ok(ms(gateway.stop_grace_period) > stopMaxMs(config), 'the grace period is longer than stopping may take');
});
