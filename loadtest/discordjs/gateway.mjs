// What the gateway owes a library: members by op 8, shards, intents, presence and voice frames that disturb nothing, joins and leaves while
// connected, a count of starts. Ann, Ben and Cy are bots; Rudy lives in the town.
import { ActivityType, Events, GatewayIntentBits, GatewayOpcodes } from 'discord.js';
import { guildAgrees } from './caches.mjs';
import { Bot, Person, cfg, every, newBot, owner, step, until, usual } from './lib.mjs';

export default async function gateway() {
  const accounts = [await newBot('ann'), await newBot('ben'), await newBot('cy')];
  const [rudy, ruth] = [await Person.settle('rudy'), await Person.settle('ruth')];
  await starts(accounts[0]);
  const ann = await new Bot(0, accounts[0].token, { intents: every }).login();
  await members({ ann, rudy, ruth });
  await statuses({ ann });
  await intents({ ann, accounts, rudy });
  await shards(accounts[2]);
  await comings({ ann });
}

async function starts(account) {
  const bot = await new Bot(1, account.token).login();
  const { url, shards: wanted, session_start_limit: left } = await bot.client.ws._ws.fetchGatewayInformation(true);
  step('session start limits', url.startsWith('ws://') && wanted === 1 && left.total >= left.remaining && left.remaining > 0 &&
    left.reset_after >= 0 && left.max_concurrency >= 1, left);
  await bot.destroy();
}

async function members({ ann, rudy, ruth }) {
  const { members: of } = ann.guild;
  const known = async () => (await ann.call('GET', `/guilds/${cfg.guild}/members?limit=1000`)).map((m) => m.user.id).sort().join();
  of.cache.clear();
  step('all', [...(await of.fetch()).keys()].sort().join() === await known());
  step('all of no name', (await of.fetch({ query: '', limit: 0 })).size === of.cache.size);
  step('by the beginning of a name', [...(await of.fetch({ query: 'RU', limit: 10 })).keys()].sort().join() === [rudy.id, ruth.id].sort().join());
  step('no more than asked for', (await of.fetch({ query: 'ru', limit: 1 })).size === 1);
  of.cache.clear();
  step('some by id', (await of.fetch({ user: [rudy.id, ann.id, '4611686018427387904'] })).size === 2);
  step('one by id', (await of.fetch({ user: ruth.id, force: true })).user.username === ruth.username);
  step('with presences', (await of.fetch({ user: [rudy.id], withPresences: true })).has(rudy.id));
  const chunks = ann.packets.filter((p) => p.t === 'GUILD_MEMBERS_CHUNK');
  step('chunks', chunks.length === 6 && chunks.every(({ d }) => d.chunk_index === 0 && d.chunk_count === 1 && typeof d.nonce === 'string'), chunks.length);
  step('who was not found', chunks.some(({ d }) => d.not_found.join() === '4611686018427387904'));
  await of.fetch();
  await guildAgrees(ann, 'after members were asked for');
}

// Op 3 and op 4 are taken; the session lives on.
async function statuses({ ann }) {
  const user = ann.client.user;
  user.setPresence({ status: 'idle', afk: true, activities: [{ name: 'chess', type: ActivityType.Playing }] });
  user.setStatus('dnd');
  user.setActivity('the wind', { type: ActivityType.Listening });
  user.setPresence({ status: 'invisible', activities: [] });
  ann.guild.shard.send({ op: GatewayOpcodes.VoiceStateUpdate, d: { guild_id: cfg.guild, channel_id: null, self_mute: false, self_deaf: false } });
  const [heard] = await Promise.all([ann.next(Events.MessageCreate, (m) => m.content === 'still here'), ann.channel.send('still here')]);
  step('op 3 and op 4 disturb nothing', heard[0].author.id === ann.id && ann.packets.filter((p) => p.t === 'READY').length === 1);
}

// Ben has no content intent, Cy hears of messages only in direct channels; both hear nothing of members.
async function intents({ ann, accounts: [, benBot, cyBot], rudy }) {
  const ben = await new Bot(1, benBot.token, { intents: [GatewayIntentBits.Guilds, GatewayIntentBits.GuildMessages, GatewayIntentBits.DirectMessages] }).login();
  const cy = await new Bot(0, cyBot.token, { intents: [GatewayIntentBits.Guilds, GatewayIntentBits.DirectMessages] }).login();
  step('own member without the intent', ben.guild.members.cache.size >= 1 && ben.guild.members.me.id === ben.id && ben.guild.memberCount === ann.guild.memberCount);
  const get = async (m) => (await until(m.id, () => ben.channel.messages.cache.get(m.id))).content;
  const bare = await rudy.say(cfg.channel, 'for those who may read');
  step('no content', await get(bare) === '' && await until('ann', () => ann.channel.messages.cache.get(bare.id)?.content) === 'for those who may read');
  step('content of what mentions', await get(await rudy.say(cfg.channel, `<@${ben.id}> you`)) === `<@${ben.id}> you`);
  step('content of own words', await get(await ben.channel.send('mine')) === 'mine');
  const reply = await rudy.call('POST', `/channels/${cfg.channel}/messages`, { content: 'indeed', message_reference: { message_id: bare.id } });
  await get(reply);
  const raw = ben.saw('MESSAGE_CREATE', (d) => d.id === reply.id).d;
  step('nor that of what is answered', raw.content === '' && raw.referenced_message.content === '');
  step('REST tells all', (await ben.channel.messages.fetch({ message: bare.id, force: true })).content === 'for those who may read');
  const dm = await rudy.call('POST', '/users/@me/channels', { recipient_id: ben.id });
  const [direct] = await Promise.all([ben.next(Events.MessageCreate, (m) => m.channelId === dm.id), rudy.say(dm.id, 'in private')]);
  step('content of direct messages', direct[0].content === 'in private');
  const toCy = await rudy.call('POST', '/users/@me/channels', { recipient_id: cy.id });
  await Promise.all([cy.next(Events.MessageCreate, (m) => m.channelId === toCy.id), rudy.say(toCy.id, 'you too')]);
  const eve = await Person.settle('eve');
  await until('eve at ann', () => ann.guild.members.cache.has(eve.id));
  await rudy.call('POST', `/channels/${cfg.channel}/typing`);
  await rudy.say(cfg.channel, 'done');
  await until('done', () => ben.packets.filter((p) => p.t === 'MESSAGE_CREATE').length >= 6);
  await until('typing at ann', () => ann.saw('TYPING_START'));
  const foreign = (bot, ...types) => bot.packets.filter((p) => types.includes(p.t)).map((p) => p.t);
  step('nothing of what was not asked for', foreign(ben, 'GUILD_MEMBER_ADD', 'TYPING_START', 'PRESENCE_UPDATE').length === 0 &&
    cy.messages.join() === 'you too' && foreign(cy, 'GUILD_MEMBER_ADD', 'TYPING_START', 'PRESENCE_UPDATE').length === 0);
}

// One client with two shards: each guild is at one of them, direct messages at the first.
async function shards(account) {
  const guilds = [cfg.guild];
  const shardOf = (id) => Number((BigInt(id) >> 22n) % 2n);
  while (new Set(guilds.map(shardOf)).size < 2) {
    const { id } = await owner('POST', '/guilds', { name: 'Suburb' });
    await owner('PUT', `/guilds/${id}/members/${account.id}`, {});
    guilds.push(id);
  }
  const bot = await new Bot(1, account.token, { intents: usual.concat(GatewayIntentBits.DirectMessages), shards: [0, 1], shardCount: 2 }).login();
  step('each guild at its shard', bot.client.ws.shards.size === 2 && bot.client.guilds.cache.size === guilds.length &&
    guilds.every((id) => bot.client.guilds.cache.get(id).shardId === shardOf(id)));
  step('READY of each', [0, 1].every((n) => bot.packets.some((p) => p.t === 'READY' && p.shard === n && p.d.shard.join() === `${n},2`)));
  for (const id of guilds) {
    const { id: channel } = bot.client.guilds.cache.get(id).channels.cache.find((ch) => ch.isTextBased());
    await Promise.all([bot.next(Events.MessageCreate, (m) => m.guildId === id), owner('POST', `/channels/${channel}/messages`, { content: id })]);
    await guildAgrees(bot, 'at two shards', id);
  }
  step('each event once', guilds.every((id) => bot.packets.filter((p) => p.t === 'MESSAGE_CREATE' && p.d.guild_id === id).length === 1));
  const rudy = await Person.settle('ringo');
  const { id } = await rudy.call('POST', '/users/@me/channels', { recipient_id: bot.id });
  await Promise.all([bot.next(Events.MessageCreate, (m) => m.channelId === id), rudy.say(id, 'to the first shard')]);
  step('direct messages at the first shard', bot.packets.filter((p) => p.t === 'MESSAGE_CREATE' && p.d.channel_id === id).map((p) => p.shard).join() === '0');
  await bot.destroy();
}

// A guild comes and goes while Ann is connected.
async function comings({ ann }) {
  const { id } = await owner('POST', '/guilds', { name: 'Next town' });
  const [came] = await Promise.all([ann.next(Events.GuildCreate), owner('PUT', `/guilds/${id}/members/${ann.id}`, {})]);
  step('guildCreate', came[0].id === id && came[0].members.me.id === ann.id);
  const channel = await owner('POST', `/guilds/${id}/channels`, { name: 'square', type: 0 });
  await until('its channel', () => ann.client.channels.cache.has(channel.id));
  await Promise.all([ann.next(Events.MessageCreate, (m) => m.channelId === channel.id), owner('POST', `/channels/${channel.id}/messages`, { content: 'welcome' })]);
  await guildAgrees(ann, 'a guild that came', id);
  const [gone] = await Promise.all([ann.next(Events.GuildDelete), owner('DELETE', `/guilds/${id}/members/${ann.id}`)]);
  step('guildDelete', gone[0].id === id && !ann.client.guilds.cache.has(id) && !ann.client.channels.cache.has(channel.id));
}
