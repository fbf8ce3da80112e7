// What the stories share: steps that are told, waiting, accounts by REST, and a Client whose warnings are errors and whose caches are compared
// with what REST tells. Nothing of discord.js is patched: where a socket is cut or a session forgotten, its own objects are reached into, as no
// public method does that.
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { Client, DiscordAPIError, Events, GatewayIntentBits, PermissionsBitField } from 'discord.js';

export const cfg = JSON.parse(process.env.STORY);
const patience = Number(process.env.PATIENCE ?? 20_000); // milliseconds
export const state = { failed: false };
const clients = [];

// step tells how a step of the story went, as a line of JSON.
export function step(name, ok, note) {
  if (!ok) state.failed = true;
  const told = note === undefined || typeof note === 'string' ? note : JSON.stringify(note);
  console.log(JSON.stringify({ step: name, ok: Boolean(ok), ...(note === undefined ? {} : { note: told ?? String(note) }) }));
}

// until polls a condition: events of several emitters and states of caches are waited for alike.
export async function until(name, condition) {
  const end = Date.now() + patience;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) throw new Error(`${name}: not within ${patience} ms`);
    await delay(5);
  }
}

// settles is a step that waits until two views of the same thing are equal.
export async function settles(name, views) {
  const end = Date.now() + patience;
  for (;;) {
    const [got, want] = await views();
    if (isDeepStrictEqual(got, want)) return step(name, true);
    if (Date.now() > end) return step(name, false, `${difference(got, want)}`);
    await delay(20);
  }
}

function difference(got, want, path = '') {
  if (isDeepStrictEqual(got, want)) return '';
  if (got === null || want === null || typeof got !== 'object' || typeof want !== 'object') {
    return `${path}: cache ${JSON.stringify(got)}, REST ${JSON.stringify(want)}; `;
  }
  return [...new Set([...Object.keys(got), ...Object.keys(want)])].map((k) => difference(got[k], want[k], `${path}/${k}`)).join('');
}

// refused is a step that wants a call to fail with a status and a code of the API.
export async function refused(name, promise, status, code) {
  try {
    await promise;
    step(name, false, 'it was allowed');
  } catch (err) {
    step(name, err instanceof DiscordAPIError && err.status === status && err.code === code, `${err.status} ${err.code} ${err.message}`);
  }
}

// rest makes a call as whoever auth says. An error has the status and the code of the answer.
export async function rest(auth, method, path, body, edge = 0) {
  const answer = await fetch(`${cfg.edges[edge]}/api/v10${path}`, {
    method, body: body && JSON.stringify(body), headers: { 'content-type': 'application/json', ...(auth && { authorization: auth }) },
  });
  const json = answer.status === 204 ? null : await answer.json();
  if (!answer.ok) throw Object.assign(new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(json)}`), { status: answer.status, ...json });
  return json;
}

// owner makes a call as the owner of the town.
export const owner = (method, path, body, edge) => rest(cfg.owner, method, path, body, edge);

const unique = () => Math.random().toString(16).slice(2, 8);

// A Person uses REST alone.
export class Person {
  static async register(name) {
    const { user, token } = await rest(null, 'POST', '/auth/register', { username: `${name}_${unique()}`, password: 'correct horse battery' });
    return Object.assign(new Person(), user, { auth: `Bearer ${token}` });
  }

  // settle registers somebody who joins the town.
  static async settle(name) {
    const person = await Person.register(name);
    const invite = await owner('POST', `/channels/${cfg.channel}/invites`, { max_age: 0 });
    await person.call('POST', `/invites/${invite.code}`, {});
    return person;
  }

  call(method, path, body, edge = 1) { return rest(this.auth, method, path, body, edge); }

  say(channel, content) { return this.call('POST', `/channels/${channel}/messages`, { content }); }
}

export const usual = [
  GatewayIntentBits.Guilds, GatewayIntentBits.GuildMembers, GatewayIntentBits.GuildMessages, GatewayIntentBits.GuildMessageTyping,
  GatewayIntentBits.MessageContent,
];
export const every = [
  ...usual, GatewayIntentBits.GuildModeration, GatewayIntentBits.GuildInvites, GatewayIntentBits.GuildMessageReactions,
  GatewayIntentBits.DirectMessages, GatewayIntentBits.DirectMessageReactions, GatewayIntentBits.DirectMessageTyping,
];

// newBot makes an account that is a member of the town, with a role of its own if it is to have permissions.
export async function newBot(name, { permissions, join = true } = {}) {
  const bot = await owner('POST', '/applications', { name: `${name}_${unique()}` });
  if (join) await owner('PUT', `/guilds/${cfg.guild}/members/${bot.id}`, {});
  if (permissions) {
    const role = await owner('POST', `/guilds/${cfg.guild}/roles`, { name: `${name}'s`, permissions: new PermissionsBitField(permissions).bitfield.toString() });
    await owner('PUT', `/guilds/${cfg.guild}/members/${bot.id}/roles/${role.id}`);
  }
  return bot;
}

export class Bot {
  constructor(edge, token, { rough = false, intents = usual, ...options } = {}) {
    this.packets = []; // every dispatch in order
    this.messages = []; // contents of messageCreate
    this.limited = 0;
    this.edge = edge;
    this.client = new Client({ rest: { api: `${cfg.edges[edge]}/api`, version: '10' }, intents, ...options });
    this.token = token;
    this.client.on('raw', (packet, shard) => { if (packet.op === 0) this.packets.push({ ...packet, shard }); });
    this.client.on(Events.MessageCreate, (m) => this.messages.push(m.content));
    this.client.on(Events.ShardError, (err) => step('shard error', rough && /ECONNRESET|ECONNREFUSED|hang up/.test(String(err)), err));
    this.client.rest.on('rateLimited', () => { this.limited += 1; });
    this.client.rest.on('response', (_, r) => { if (r.status === 429) this.limited += 1; });
    this.client.on(Events.Error, (err) => step('client error', false, err));
    this.client.on(Events.Warn, (text) => step('client warning', false, text));
    this.client.on(Events.Invalidated, () => step('session invalidated', false));
    if (!rough) {
      this.client.on(Events.ShardDisconnect, (event) => this.over || step('disconnected', false, event));
      this.client.on(Events.ShardReconnecting, (id) => this.over || step('reconnecting', false, id));
      this.client.on(Events.Debug, (line) => { if (/zomb|invalid|error|fail|unknown|did not|timed? ?out|destroy/i.test(line) && !this.over) step('debug', false, line); });
    }
    clients.push(this);
  }

  async login() {
    const ready = once(this.client, Events.ClientReady);
    await this.client.login(this.token);
    await ready;
    this.channel = this.client.channels.cache.get(cfg.channel);
    return this;
  }

  async destroy() {
    this.over = true;
    await this.client.destroy();
  }

  get guild() { return this.client.guilds.cache.get(cfg.guild); }

  get id() { return this.client.user.id; }

  // The only shard, behind TypeScript's private.
  get shard() { return this.client.ws._ws.strategy.shards.get(0); }

  cut() { this.shard.connection._socket.destroy(); }

  async forget() {
    const strategy = this.shard.strategy;
    const info = await strategy.retrieveSessionInfo(0);
    await strategy.updateSessionInfo(0, { ...info, sessionId: 'nobody-knows-this-one' });
  }

  saw(type, match = () => true, from = 0) { return this.packets.slice(from).find((p) => p.t === type && match(p.d)); }

  // next gives the arguments of the client's next event that matches.
  next(event, match = () => true) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no ${event} within ${patience} ms`)), patience);
      const listener = (...args) => {
        if (!match(...args)) return;
        clearTimeout(timer);
        this.client.off(event, listener);
        resolve(args);
      };
      this.client.on(event, listener);
    });
  }

  call(method, path, body) { return rest(`Bot ${this.token}`, method, path, body, this.edge); }
}

// ended closes all clients; the rest of the process has nothing to wait for.
export async function ended() {
  for (const bot of clients) {
    const last = {}; // of each shard
    const rising = bot.packets.every((p) => { const ok = p.t === 'READY' || p.s > last[p.shard]; last[p.shard] = p.s; return ok; });
    if (!rising) step('s rises strictly', false);
  }
  await Promise.all(clients.map((bot) => bot.destroy()));
}
