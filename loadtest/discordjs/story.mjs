// A day of chat of two unmodified discord.js clients on two edges. STORY holds the addresses, tokens and ids as JSON; each step prints a
// JSON line {"step","ok","note"?}; the exit code is 1 when one failed. Nothing of discord.js is patched: where a socket is cut or a session
// forgotten, its own objects are reached into, as no public method does that.
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { Client, Events, GatewayIntentBits, Partials } from 'discord.js';

const cfg = JSON.parse(process.env.STORY);
const patience = 20_000;
let failed = false;

function step(name, ok, note) {
  if (!ok) failed = true;
  console.log(JSON.stringify({ step: name, ok: Boolean(ok), ...(note === undefined ? {} : { note: String(note) }) }));
}

// until polls a condition: events of several emitters and states of caches are waited for alike.
async function until(name, condition) {
  const end = Date.now() + patience;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) throw new Error(`${name}: not within ${patience} ms`);
    await delay(5);
  }
}

class Bot {
  constructor(edge, token) {
    this.packets = []; // every dispatch in order
    this.messages = []; // contents of messageCreate
    this.limited = 0;
    this.client = new Client({
      rest: { api: `${cfg.edges[edge]}/api`, version: '10' },
      partials: [Partials.Message],
      intents: [
        GatewayIntentBits.Guilds, GatewayIntentBits.GuildMembers, GatewayIntentBits.GuildMessages,
        GatewayIntentBits.GuildMessageTyping, GatewayIntentBits.MessageContent,
      ],
    });
    this.token = token;
    this.client.on('raw', (packet) => { if (packet.op === 0) this.packets.push(packet); });
    this.client.on(Events.MessageCreate, (m) => this.messages.push(m.content));
    this.client.on(Events.ShardError, (err) => step('shard error', /ECONNRESET|ECONNREFUSED|hang up/.test(String(err)), err));
    this.client.rest.on('rateLimited', () => { this.limited += 1; });
    this.client.rest.on('response', (_, r) => { if (r.status === 429) this.limited += 1; });
    this.client.on(Events.Error, (err) => step('client error', false, err));
  }

  async login() {
    const ready = once(this.client, Events.ClientReady);
    await this.client.login(this.token);
    await ready;
    this.channel = this.client.channels.cache.get(cfg.channel);
    return this;
  }

  // The only shard, behind TypeScript's private.
  get shard() { return this.client.ws._ws.strategy.shards.get(0); }

  cut() { this.shard.connection._socket.destroy(); }

  async forget() {
    const strategy = this.shard.strategy;
    const info = await strategy.retrieveSessionInfo(0);
    await strategy.updateSessionInfo(0, { ...info, sessionId: 'nobody-knows-this-one' });
  }

  saw(type, match = () => true, from = 0) { return this.packets.slice(from).find((p) => p.t === type && match(p.d)); }
}

async function owner(method, path, body) {
  const answer = await fetch(`${cfg.edges[0]}/api/v10${path}`, {
    method, body: body && JSON.stringify(body), headers: { 'content-type': 'application/json', authorization: cfg.owner },
  });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return answer.status === 204 ? null : answer.json();
}

async function day() {
  const ann = await new Bot(0, cfg.tokens[0]).login();
  const ben = await new Bot(1, cfg.tokens[1]).login();
  for (const bot of [ann, ben]) {
    const guild = bot.client.guilds.cache.get(cfg.guild);
    step('READY with guild and channels', guild?.available && bot.channel && guild.members.me);
  }

  await ann.channel.send('hello from ann');
  await ben.channel.send('hello from ben');
  for (const bot of [ann, ben]) {
    for (const text of ['hello from ann', 'hello from ben']) await until(text, () => bot.messages.includes(text));
  }
  step('messages across edges both ways', true);

  const history = await ben.channel.messages.fetch({ limit: 50 });
  step('history', [...history.values()].map((m) => m.content).join() === 'hello from ben,hello from ann');

  const m = [...ann.channel.messages.cache.values()].find((x) => x.content === 'hello from ann');
  const edited = once(ben.client, Events.MessageUpdate);
  await m.edit('edited');
  const [, after] = await edited;
  step('edit', after.content === 'edited' && after.editedTimestamp);

  const typing = once(ben.client, Events.TypingStart);
  await ann.channel.sendTyping();
  step('typing', (await typing)[0].user.id === ann.client.user.id);

  const deleted = once(ben.client, Events.MessageDelete);
  await m.delete();
  step('delete', (await deleted)[0].id === m.id);

  const square = await owner('POST', `/guilds/${cfg.guild}/channels`, { name: 'square', type: 0 });
  await until('CHANNEL_CREATE', () => ben.client.channels.cache.has(square.id) && ann.client.channels.cache.has(square.id));
  await owner('PUT', `/channels/${square.id}/permissions/${ben.client.user.id}`, { type: 1, allow: '0', deny: '1024' });
  await until('CHANNEL_DELETE', () => !ben.client.channels.cache.has(square.id));
  await ann.client.channels.cache.get(square.id).send('secret');
  await ann.channel.send('open');
  await until('open', () => ben.messages.includes('open'));
  step('hidden at once', !ben.saw('MESSAGE_CREATE', (d) => d.channel_id === square.id) && ann.messages.includes('secret'));

  const from = ben.messages.length;
  const sent = [];
  const say = async (text) => { sent.push(text); await ann.channel.send(text); };
  for (let round = 0; round < 2; round += 1) {
    for (let i = 0; i < 4; i += 1) await say(`before ${round}.${i}`);
    const mark = ben.packets.length;
    ben.cut();
    for (let i = 0; i < 4; i += 1) await say(`away ${round}.${i}`);
    await until('RESUMED', () => ben.saw('RESUMED', undefined, mark));
  }
  await say('back');
  await until('back', () => ben.messages.includes('back'));
  const got = ben.messages.slice(from);
  step('RESUME: nothing lost or doubled', got.join() === sent.join(), `got ${got.length} of ${sent.length}: ${got.join()}`);

  const mark = ben.packets.length;
  await ben.forget();
  ben.cut();
  await until('READY after op 9', () => ben.saw('READY', undefined, mark) && ben.saw('GUILD_CREATE', undefined, mark));
  await ann.channel.send('anew');
  await until('anew', () => ben.messages.includes('anew'));
  step('unknown session', !ben.saw('RESUMED', undefined, mark));

  for (const bot of [ann, ben]) {
    let last = 0;
    const rising = bot.packets.every((p) => { const ok = p.t === 'READY' || p.s > last; last = p.s; return ok; });
    step('s rises strictly', rising);
  }
  return [ann, ben];
}

// Two clients of one bot do not know of each other's sends, so 429s come; discord.js waits and repeats.
async function limits() {
  const bots = [await new Bot(0, cfg.tokens[0]).login(), await new Bot(1, cfg.tokens[0]).login()];
  const texts = [];
  await Promise.all(bots.flatMap((bot, i) => [0, 1, 2, 3, 4].map((n) => {
    texts.push(`${i}.${n}`);
    return bot.channel.send(`${i}.${n}`);
  })));
  const history = [...(await bots[0].channel.messages.fetch({ limit: 100 })).values()].map((m) => m.content);
  step('429 honoured', bots[0].limited + bots[1].limited > 0);
  step('every message once', history.toSorted().join() === texts.toSorted().join(), history.join());
  return bots;
}

try {
  const bots = await (cfg.story === 'limits' ? limits() : day());
  await Promise.all(bots.map((b) => b.client.destroy()));
} catch (err) {
  step('story', false, err.stack);
}
process.exit(failed ? 1 : 0);
