// Ann and Ben, bots at two edges, and Rudy and Cleo, people who use REST: profiles, direct channels that open, close and come back, blocks, and guilds
// that somebody leaves.
import { ChannelType, DMChannel, Events, MessageType } from 'discord.js';
import { guildAgrees, messagesAgree } from './caches.mjs';
import { Bot, Person, cfg, every, newBot, owner, refused, rest, step, until } from './lib.mjs';

const unreachable = [403, 50007];

export default async function people() {
  const [annBot, benBot] = [await newBot('ann'), await newBot('ben')];
  const [rudy, cleo] = [await Person.settle('rudy'), await Person.settle('cleo')];
  const ann = await new Bot(0, annBot.token, { intents: every }).login();
  const ben = await new Bot(1, benBot.token, { intents: every }).login();
  const story = { ann, ben, rudy, cleo };
  await profiles(story);
  await direct(story);
  await blocked(story);
  await strangers(story);
  await guilds(story);
}

async function profiles({ ann, ben, rudy }) {
  const [renamed, greeted] = [`annie_${Date.now() % 1e6}`, `rudolf_${Date.now() % 1e6}`];
  const seen = ben.next(Events.UserUpdate, (_, now) => now.username === renamed);
  await ann.client.user.setUsername(renamed);
  step('userUpdate', (await seen)[1].id === ann.id && ann.client.user.username === renamed);
  const person = ben.next(Events.UserUpdate, (_, now) => now.id === rudy.id);
  await rudy.call('PATCH', '/users/@me', { username: greeted, global_name: 'Rudolf' });
  step('a person is renamed', (await person)[1].globalName === 'Rudolf');
  for (const bot of [ann, ben]) await guildAgrees(bot, 'after names changed');
  const fetched = await ben.client.users.fetch(rudy.id, { force: true });
  step('one user', fetched.username === greeted && !fetched.bot);
  await refused('nobody', ben.client.users.fetch('4611686018427387904'), 404, 10013);
  const m = await ben.channel.send(`<@${rudy.id}>`);
  step('mentioned by the new name', m.mentions.users.get(rudy.id).globalName === 'Rudolf');
}

// What Ann opens at one edge, Ben hears of with the first message at the other.
async function direct({ ann, ben, rudy }) {
  const dm = await ann.client.users.cache.get(ben.id).createDM();
  step('open', dm.type === ChannelType.DM && dm.recipientId === ben.id && !ben.client.channels.cache.has(dm.id));
  const [heard, sent] = await Promise.all([ben.next(Events.MessageCreate, (m) => m.channelId === dm.id), dm.send('psst')]);
  const inBen = heard[0].channel;
  step('the first message brings the channel', inBen instanceof DMChannel && heard[0].content === 'psst' && heard[0].guildId === null && inBen.recipient.id === ann.id);
  const [back] = await Promise.all([ann.next(Events.MessageCreate, (m) => m.channelId === dm.id && m.author.id === ben.id), heard[0].reply('what is it?')]);
  step('a reply', back[0].type === MessageType.Reply && back[0].reference.messageId === sent.id);
  const typing = ann.next(Events.TypingStart, (t) => t.channel.id === dm.id);
  await inBen.sendTyping();
  step('typing', (await typing)[0].user.id === ben.id);
  await sent.edit('psst, Ben');
  await sent.react('🤫');
  await heard[0].react('🤫');
  await sent.pin();
  await until('the pin', () => inBen.messages.cache.get(sent.id).pinned && inBen.lastPinTimestamp > 0);
  for (const bot of [ann, ben]) await messagesAgree(bot, dm.id, 'a direct channel');
  const told = await ben.call('GET', `/channels/${dm.id}`);
  step('the channel in the cache is what REST tells', told.last_message_id === inBen.lastMessageId && Date.parse(told.last_pin_timestamp) === inBen.lastPinTimestamp, told);
  step('crosspost', await ben.call('POST', `/channels/${dm.id}/messages/${sent.id}/crosspost`, {}).then(() => false, (err) => err.status === 404));

  // Closed, it is gone from one side alone; the next message brings it back.
  const closed = ben.next(Events.ChannelDelete, (ch) => ch.id === dm.id);
  await inBen.delete();
  await closed;
  step('closed', !ben.client.channels.cache.has(dm.id) && ann.client.channels.cache.has(dm.id) && (await ben.call('GET', '/users/@me/channels')).length === 0);
  const [again] = await Promise.all([ben.next(Events.MessageCreate, (m) => m.channelId === dm.id), dm.send('still there?')]);
  step('back with the next message', again[0].content === 'still there?' && ben.client.channels.cache.has(dm.id));
  step('its history', (await again[0].channel.messages.fetch({ limit: 50 })).size === 4);

  // A person writes first.
  const { id } = await rudy.call('POST', '/users/@me/channels', { recipient_id: ben.id });
  const [first] = await Promise.all([ben.next(Events.MessageCreate, (m) => m.channelId === id), rudy.say(id, 'good bot')]);
  step('from a person', first[0].author.id === rudy.id && first[0].content === 'good bot');
  await first[0].channel.send('good human');
  step('to a person', (await rudy.call('GET', `/channels/${id}/messages`)).map((m) => m.content).join() === 'good human,good bot');
}

async function blocked({ ann, cleo }) {
  const dm = await (await ann.client.users.fetch(cleo.id)).createDM();
  const kept = await dm.send('hello');
  await cleo.call('PUT', `/users/@me/relationships/${ann.id}`, { type: 2 });
  await refused('send while blocked', dm.send('hello?'), ...unreachable);
  await refused('a pin while blocked', kept.pin(), ...unreachable);
  await refused('typing while blocked', dm.sendTyping(), ...unreachable);
  step('who blocked cannot send either', await cleo.say(dm.id, 'no').then(() => false, (err) => err.code === 50007));
  await cleo.call('DELETE', `/users/@me/relationships/${ann.id}`);
  step('after the block', (await dm.send('thank you')).content === 'thank you');
}

// Who shares no guild cannot be written to; who has just joined can, and no longer after leaving.
async function strangers({ ann }) {
  const eve = await Person.register('eve');
  const dm = await (await ann.client.users.fetch(eve.id)).createDM();
  await refused('a stranger', dm.send('hello, stranger'), ...unreachable);
  const invite = await owner('POST', `/channels/${cfg.channel}/invites`, { max_age: 0 });
  await eve.call('POST', `/invites/${invite.code}`, {});
  step('a neighbour since a moment', await dm.send('hello, neighbour').then(() => true, (err) => { step('', false, err); }));
  step('and the other way', await eve.say(dm.id, 'hello, bot').then(() => true, (err) => { step('', false, err); }));
  await eve.call('DELETE', `/users/@me/guilds/${cfg.guild}`);
  await refused('a stranger again', dm.send('goodbye'), ...unreachable);
  await refused('to oneself', ann.client.rest.post('/users/@me/channels', { body: { recipient_id: ann.id } }), 400, 50033);
}

async function guilds({ ann, ben, cleo }) {
  const own = await cleo.call('POST', '/guilds', { name: "Cleo's" });
  const [joined] = await Promise.all([ben.next(Events.GuildCreate), rest(cleo.auth, 'PUT', `/guilds/${own.id}/members/${ben.id}`, {})]);
  step('guildCreate', joined[0].id === own.id && joined[0].ownerId === cleo.id);
  await guildAgrees(ben, 'a new guild', own.id);
  const listed = await ben.client.guilds.fetch();
  step('own guilds', [...listed.keys()].sort().join() === [cfg.guild, own.id].sort().join() && listed.get(own.id).name === "Cleo's" && !listed.get(own.id).owner);
  step('one at a time', (await ben.client.guilds.fetch({ limit: 1, after: cfg.guild })).firstKey() === own.id);
  await refused("another's guild", ann.client.guilds.fetch(own.id), 404, 10004);
  const [gone] = await Promise.all([ben.next(Events.GuildDelete), ben.client.guilds.cache.get(own.id).leave()]);
  step('leave', gone[0].id === own.id && (await ben.client.guilds.fetch()).size === 1);
}
