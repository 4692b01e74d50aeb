import { readFileSync } from 'node:fs';
import { posix } from 'node:path';
import t from 'tap';
import { parseAllDocuments } from 'yaml';
import { startTestGateway } from '../helpers/gateways.ts';
import { readDockerfile, settingOf } from './dockerfile.ts';
import { isCommand, parseGatewayFile, stopMaxMs } from './gateway-file.ts';

interface Probe {
  readonly httpGet: { readonly path: string; readonly port: number };
  readonly periodSeconds: number;
  readonly failureThreshold: number;
}

interface Container {
  readonly name: string;
  readonly restartPolicy?: string;
  readonly args: readonly string[];
  readonly ports?: readonly { readonly containerPort: number }[];
  readonly env?: readonly { readonly name: string; readonly value: string }[];
  readonly envFrom?: readonly { readonly secretRef: { readonly name: string } }[];
  readonly startupProbe: Probe;
  readonly livenessProbe: Probe;
  readonly readinessProbe: Probe;
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
  readonly lifecycle?: { readonly preStop: { readonly sleep: { readonly seconds: number } } };
}

interface Pod {
  readonly metadata: Readonly<Record<'labels' | 'annotations', Readonly<Record<string, string>>>>;
  readonly spec: {
    readonly terminationGracePeriodSeconds: number;
    readonly initContainers: readonly [Container];
    readonly containers: readonly [Container];
    readonly volumes: readonly { readonly name: string; readonly configMap?: { readonly name: string } }[];
  };
}

interface Documents {
  readonly ConfigMap: { readonly metadata: { readonly name: string }; readonly data: Readonly<Record<string, string>> };
  readonly Secret: {
    readonly metadata: { readonly name: string };
    readonly stringData: Readonly<Record<string, string>>;
  };
  readonly Deployment: { readonly spec: { readonly selector: object; readonly template: Pod } };
  readonly Service: {
    readonly spec: {
      readonly selector: Readonly<Record<string, string>>;
      readonly ports: readonly [{ readonly targetPort: number }];
    };
  };
}

const image = readDockerfile();
const parsed = parseAllDocuments(readFileSync('config/kubernetes.yaml', 'utf8')).map((document) => document.toJS());
const documents = Object.fromEntries(parsed.map((document) => [document.kind, document])) as unknown as Documents;
const { ConfigMap, Secret, Deployment, Service } = documents;
const { metadata, spec } = Deployment.spec.template;
const [sidecar] = spec.initContainers;
const [api] = spec.containers;
const gatewayFile = ConfigMap.data['gateway.yaml'] ?? '';
const probes = [sidecar.startupProbe, sidecar.livenessProbe, sidecar.readinessProbe];

t.test('the gateway.yaml of the Kubernetes example is valid, and mounted where the image looks for it', async (t) => {
  const { variables } = parseGatewayFile(t, gatewayFile, Secret.stringData);
  t.same(variables, ['DATABASE_URL'], 'the Secret has what it needs');
  t.same(sidecar.envFrom, [{ secretRef: { name: Secret.metadata.name } }]);
  const { mountPath, name } = sidecar.volumeMounts[0] ?? {};
  t.equal(posix.join(mountPath ?? '', 'gateway.yaml'), image.env['TOLLGATE_CONFIG']);
  t.same(
    spec.volumes.find((volume) => volume.name === name),
    { name, configMap: { name: ConfigMap.metadata.name } },
  );
});

t.test('the gateway is a native sidecar that runs a command of the command line', async (t) => {
  t.equal(sidecar.restartPolicy, 'Always');
  isCommand(t, sidecar.args);
});

t.test('the ports of the Kubernetes example are those of its gateway.yaml', async (t) => {
  const { server, ops } = parseGatewayFile(t, gatewayFile, Secret.stringData).config;
  t.same(sidecar.ports, [{ containerPort: server.port }, { containerPort: ops.port }]);
  for (const probe of probes) t.equal(probe.httpGet.port, ops.port);
  t.equal(metadata.annotations['prometheus.io/port'], String(ops.port));
});

t.test('the Service leads to the gateway, and the API listens where only the gateway reaches it', async (t) => {
  const { server, upstreams } = parseGatewayFile(t, gatewayFile, Secret.stringData).config;
  t.equal(Service.spec.ports[0].targetPort, server.port);
  t.same(Service.spec.selector, metadata.labels);
  t.same(Deployment.spec.selector, { matchLabels: metadata.labels });
  t.same(api.env, [
    { name: 'HOST', value: '127.0.0.1' },
    { name: 'PORT', value: new URL(upstreams['api']?.url ?? '').port },
  ]);
  t.equal(new URL(upstreams['api']?.url ?? '').hostname, '127.0.0.1');
  t.equal(api.ports, undefined);
});

t.test('what the probes and Prometheus ask for is answered', async (t) => {
  const { gateway } = await startTestGateway(t, 'sqlite', '  - { path: /, upstream: api }');
  const paths = [...probes.map((probe) => probe.httpGet.path), metadata.annotations['prometheus.io/path'] ?? ''];
  t.same(paths, ['/healthz', '/healthz', '/readyz', '/metrics']);
  for (const path of paths) {
    const { status } = await fetch(`${gateway.opsAddress}${path}`);
    t.equal(status, 200, path);
  }
});

t.test('the gateway of the Kubernetes example is locked in, and writes to its volume alone', async (t) => {
  const [, uid, gid] = /^(\d+):(\d+)$/.exec(settingOf(image, 'USER')) ?? [];
  t.ok(Number(uid) > 0, 'runAsNonRoot holds for the user of the image');
  t.match(spec, { automountServiceAccountToken: false, securityContext: { fsGroup: Number(gid) } });
  t.match(sidecar, {
    securityContext: {
      runAsNonRoot: true,
      readOnlyRootFilesystem: true,
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
    },
  });
  t.same(sidecar.volumeMounts[1], { name: 'data', mountPath: settingOf(image, 'VOLUME') });
  t.same(spec.volumes[1], { name: 'data', emptyDir: {} });
});

t.test('a pod has the time to stop: the API first, then the gateway', async (t) => {
  const { config } = parseGatewayFile(t, gatewayFile, Secret.stringData);
  const { periodSeconds, failureThreshold } = sidecar.readinessProbe;
  const drainSeconds = config.server.drainDelay / 1000;
  t.ok(drainSeconds > periodSeconds * failureThreshold, 'a gateway that drains is seen to before it stops');
  const preStopSeconds = api.lifecycle?.preStop.sleep.seconds ?? 0;
  t.ok(preStopSeconds >= drainSeconds, 'the API serves on while the pod leaves the Service');
  // The API may take as long to end its calls as the gateway gives them.
  const stopSeconds = preStopSeconds + (config.server.shutdownTimeout + stopMaxMs(config)) / 1000;
  t.ok(
    spec.terminationGracePeriodSeconds >= stopSeconds,
    `${spec.terminationGracePeriodSeconds} s for ${stopSeconds} s`,
  );
});
