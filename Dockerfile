# The image of the gateway. The first stage has compilers and everything that building needs; the second takes out of it
# what runs, and nothing else.
#
#   docker build --tag tollgate .

# One base for both stages, because the SQLite module is compiled in one and loaded in the other: C library and Node have
# to be the same. Debian's slim image has glibc, for which the module also exists ready-made; 24 is the newest Node with
# long-term support that is tested.
ARG BASE_IMAGE=docker.io/library/node:24-bookworm-slim

FROM ${BASE_IMAGE} AS build
WORKDIR /app
# For the SQLite module, where no ready-made one fits or can be had.
RUN apt-get update \
  && apt-get install --yes --no-install-recommends g++ make python3 \
  && rm -rf /var/lib/apt/lists/*
# Before the sources, so that a change there installs nothing anew. Of all the install scripts only the one that runs in
# production is needed, and `prepare` would build what is not here yet.
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund && npm rebuild better-sqlite3
COPY tsconfig.json ./
COPY migrations migrations
COPY src src
RUN npx tsc && chmod a+x dist/src/cli.js
# Of the SQLite module only what is loaded stays; its sources and what compiling left behind are a third of everything.
RUN npm prune --omit=dev --ignore-scripts --no-audit --no-fund \
  && rm -r node_modules/better-sqlite3/deps node_modules/better-sqlite3/src \
  && find node_modules/better-sqlite3/build -mindepth 2 ! -path '*/Release/better_sqlite3.node' -delete

FROM ${BASE_IMAGE}
LABEL org.opencontainers.image.title="Tollgate" \
  org.opencontainers.image.description="A credit meter in front of any HTTP API." \
  org.opencontainers.image.licenses="Apache-2.0"
# A number, so that Kubernetes can see that it is not root (runAsNonRoot); one that is nobody's on a usual host.
RUN ln -s /app/dist/src/cli.js /usr/local/bin/tollgate \
  && install --directory --mode=0700 --owner=10001 --group=10001 /data
COPY package.json LICENSE /app/
COPY config/openapi.json /app/config/
COPY public /app/public
COPY --from=build /app/node_modules /app/node_modules
COPY --from=build /app/dist/migrations /app/dist/migrations
COPY --from=build /app/dist/src /app/dist/src
# The root may be read-only: all that is written goes to /data. `dataDir` is `data` in the working directory unless the
# configuration says otherwise, and SQLite puts there what a large sort does not keep in memory.
WORKDIR /
ENV NODE_ENV=production \
  TMPDIR=/data \
  TOLLGATE_CONFIG=/etc/tollgate/gateway.yaml
VOLUME /data
EXPOSE 8080 8081
USER 10001:10001
# A list and no text: signals then reach the program, and no shell stands between.
ENTRYPOINT ["tollgate"]
CMD ["start"]
# Ready, as for a balancer. The command itself waits 2 s for an answer.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["tollgate", "health"]
