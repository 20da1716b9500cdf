// Drives the Nacos SDK of Node.js for the end-to-end suite: commands come as
// JSON lines on the standard input, answers and events go as JSON lines to the
// standard output. The protocol is described in the Go package wire.
'use strict';

const path = require('path');
const readline = require('readline');
const { NacosConfigClient, NacosNamingClient } = require('nacos');

const log = (...args) => console.error(...args);
const logger = { debug() {}, info: log, warn: log, error: log };

const write = message => process.stdout.write(JSON.stringify(message) + '\n');

const instances = hosts => (hosts || []).map(h => ({
  ip: h.ip, port: h.port, weight: h.weight, cluster: h.clusterName, metadata: h.metadata,
}));

class Client {
  constructor(c) {
    this.config = new NacosConfigClient({ serverAddr: c.server, cacheDir: path.join(c.dir, 'cache') });
    this.naming = new NacosNamingClient({ serverList: c.server, namespace: 'public', logger });
    this.config.on('error', log);
    this.naming.on('error', log);
  }

  async ready() {
    await this.config.ready();
    await this.naming.ready();
  }

  async close() {
    this.config.close();
    await this.naming.close();
  }

  async handle(c) {
    const { group, service, instance } = c;
    const id = c.data_id;
    const about = { client: c.client, group, data_id: id, service };
    switch (c.op) {
      case 'publish':
        return { ok: await this.config.publishSingle(id, group, c.content) };
      case 'get':
        return { ok: true, content: await this.config.getConfig(id, group) };
      case 'remove':
        return { ok: await this.config.remove(id, group) };
      case 'listen':
        this.config.subscribe({ dataId: id, group }, content => write({ ...about, event: 'config', content }));
        return { ok: true };
      case 'register':
        await this.naming.registerInstance(service, { ...instance, clusterName: undefined }, group);
        return { ok: true };
      case 'deregister':
        await this.naming.deregisterInstance(service, { ...instance, clusterName: undefined }, group);
        return { ok: true };
      case 'subscribe':
        this.naming.subscribe({ serviceName: service, groupName: group },
          hosts => write({ ...about, event: 'service', instances: instances(hosts) }));
        return { ok: true };
      case 'list':
        return { ok: true, instances: instances(await this.naming.getAllInstances(service, group, '', false)) };
      default:
        throw new Error('no operation ' + c.op);
    }
  }
}

const clients = new Map();

async function handle(c) {
  if (c.op === 'connect') {
    const made = new Client(c);
    await made.ready();
    clients.set(c.client, made);
    return { ok: true };
  }
  const client = clients.get(c.client);
  if (!client) throw new Error('no client ' + c.client);
  if (c.op === 'close') {
    clients.delete(c.client);
    await client.close();
    return { ok: true };
  }
  return client.handle(c);
}

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const c = JSON.parse(line);
    let answer;
    try {
      answer = await handle(c);
    } catch (err) {
      log(err);
      answer = { ok: false, error: String(err) };
    }
    write({ ...answer, id: c.id });
  }
  process.exit(0); // timers of the SDK may live on
}

main();
