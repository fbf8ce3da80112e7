// Ann, who may manage messages, and Ben, who may not, write at two edges: replies, mentions, reactions, pins, bulk delete, files, and what is not
// there. Rudy lives in the town.
import { Events, MessageFlags, MessageType, PermissionFlagsBits } from 'discord.js';
import { guildAgrees, messagesAgree } from './caches.mjs';
import { Bot, Person, cfg, every, newBot, owner, refused, step, until } from './lib.mjs';

export default async function posts() {
  const annBot = await newBot('ann', { permissions: [PermissionFlagsBits.ManageMessages, PermissionFlagsBits.MentionEveryone] });
  const benBot = await newBot('ben');
  const rudy = await Person.settle('rudy');
  const ann = await new Bot(0, annBot.token, { intents: every }).login();
  const ben = await new Bot(1, benBot.token, { intents: every }).login();
  const story = { ann, ben, rudy, agree: async (when) => { for (const bot of [ben, ann]) await messagesAgree(bot, cfg.channel, when); } };
  await writing(story);
  await mentions(story);
  await reactions(story);
  await pins(story);
  await files(story);
  await bulk(story);
}

const at = (bot, m) => until(`${m.id} at the other`, () => bot.channel.messages.cache.get(m.id));

async function writing({ ann, ben, rudy, agree }) {
  const first = await ann.channel.send({ content: 'who replies?', nonce: '77', enforceNonce: true });
  const again = await ann.channel.send({ content: 'who replies?', nonce: '77', enforceNonce: true });
  step('a nonce counts once', again.id === first.id && first.nonce === '77');
  const reply = await (await at(ben, first)).reply('I do');
  step('reply', reply.type === MessageType.Reply && reply.mentions.repliedUser.id === ann.id && reply.mentions.has(ann.client.user));
  step('what it answers', (await (await at(ann, reply)).fetchReference()).id === first.id);
  const quiet = await (await at(ben, first)).reply({ content: 'quietly', allowedMentions: { repliedUser: false } });
  step('a reply without a ping', quiet.mentions.users.size === 0 && quiet.reference.messageId === first.id);
  await refused('reply to nothing', ben.channel.send({ content: 'x', reply: { messageReference: '4611686018427387904', failIfNotExists: true } }), 400, 50035);
  const plain = await ben.channel.send({ content: 'x', reply: { messageReference: '4611686018427387904', failIfNotExists: false } });
  step('or without it', plain.type === MessageType.Default && plain.reference === null);
  const edited = ann.next(Events.MessageUpdate, (_, now) => now.content === 'I did');
  await reply.edit('I did');
  const [was, is] = await edited;
  step('messageUpdate', was.content === 'I do' && is.editedTimestamp !== null && is.reference.messageId === first.id);
  await refused("edit of another's", ben.channel.messages.edit(first.id, 'mine'), 403, 50005);
  await refused("delete of another's", ben.channel.messages.delete(first.id), 403, 50013);
  await rudy.say(cfg.channel, 'hello, bots');
  for (const bot of [ann, ben]) await until('rudy', () => bot.messages.includes('hello, bots'));
  await agree('after replies and edits');
  const pages = await Promise.all([{ before: quiet.id, limit: 2 }, { after: first.id, limit: 1 }, { around: reply.id, limit: 3 }]
    .map((o) => ben.channel.messages.fetch({ ...o, cache: false })));
  step('history', pages.map((p) => [...p.keys()].join()).join(' ') === `${reply.id},${first.id} ${reply.id} ${quiet.id},${reply.id},${first.id}`);
  await refused('a message that is not there', ben.channel.messages.fetch('4611686018427387904'), 404, 10008);
  await refused('empty', ben.channel.send({ content: ' ' }), 400, 50006);
  await refused('too long', ben.channel.send('x'.repeat(2001)), 400, 50035);
  await ben.channel.send('x'.repeat(2000));
}

async function mentions({ ann, ben, rudy, agree }) {
  const role = await owner('POST', `/guilds/${cfg.guild}/roles`, { name: 'watch', mentionable: false });
  await until('the role', () => [ann, ben].every((bot) => bot.guild.roles.cache.has(role.id)));
  const text = `<@${rudy.id}> <@!${ben.id}> <@&${role.id}> <#${cfg.channel}> @everyone <@4611686018427387904>`;
  const named = await at(ben, await ann.channel.send(text));
  step('mentions', named.mentions.everyone && named.mentions.roles.has(role.id) && named.mentions.channels.has(cfg.channel) &&
    [...named.mentions.users.keys()].sort().join() === [rudy.id, ben.id].sort().join() && named.mentions.members.get(rudy.id).user.username === rudy.username);
  const weak = await at(ann, await ben.channel.send(text));
  step('mentions without the right', !weak.mentions.everyone && weak.mentions.roles.size === 0 && weak.mentions.users.size === 2);
  const none = await at(ben, await ann.channel.send({ content: text, allowedMentions: { parse: [] } }));
  step('none allowed', !none.mentions.everyone && none.mentions.roles.size === 0 && none.mentions.users.size === 0);
  const some = await at(ben, await ann.channel.send({ content: text, allowedMentions: { users: [rudy.id], parse: ['roles'] } }));
  step('some allowed', !some.mentions.everyone && some.mentions.roles.size === 1 && [...some.mentions.users.keys()].join() === rudy.id);
  await refused('both kinds of allowing', ann.channel.send({ content: text, allowedMentions: { users: [rudy.id], parse: ['users'] } }), 400, 50035);
  const loud = await ann.channel.send({ content: 'hush', flags: MessageFlags.SuppressNotifications });
  step('flags', (await at(ben, loud)).flags.has(MessageFlags.SuppressNotifications));
  await agree('after mentions');
}

async function reactions({ ann, ben, agree }) {
  const m = await ann.channel.send('vote');
  const inBen = await at(ben, m);
  const added = ann.next(Events.MessageReactionAdd, (_, user) => user.id === ben.id);
  await m.react('👍');
  await inBen.react('👍');
  await inBen.react('❤️');
  const [reaction] = await added;
  step('messageReactionAdd', reaction.emoji.name === '👍' && reaction.message.id === m.id);
  await agree('after reactions');
  const cached = ann.channel.messages.cache.get(m.id).reactions.cache.get('👍');
  step('who reacted', (await cached.users.fetch()).size === 2 && cached.count === 2 && cached.me && (await cached.users.fetch({ limit: 1 })).size === 1);
  await refused("removal of another's", inBen.reactions.cache.get('👍').users.remove(ann.id), 403, 50013);
  const removed = ann.next(Events.MessageReactionRemove, (_, user) => user.id === ben.id);
  await inBen.reactions.cache.get('👍').users.remove(ben.id);
  await removed;
  await messagesAgree(ann, cfg.channel, 'after one was removed'); // discord.js does not count its own removal down
  const ended = ben.next(Events.MessageReactionRemoveEmoji);
  await cached.remove();
  step('messageReactionRemoveEmoji', (await ended)[0].emoji.name === '👍');
  await agree('after one emoji was removed');
  const cleared = ben.next(Events.MessageReactionRemoveAll);
  await m.reactions.removeAll();
  step('messageReactionRemoveAll', (await cleared)[0].id === m.id);
  await agree('after all were removed');
  await refused('custom emoji', m.react('party:123456789012345678'), 400, 10014);
}

async function pins({ ann, ben, agree }) {
  const m = await ben.channel.send('house rules');
  await refused('pin without the right', m.pin(), 403, 50013);
  const inAnn = await at(ann, m);
  const [told, notice] = [ben.next(Events.ChannelPinsUpdate), ben.next(Events.MessageCreate, (n) => n.type === MessageType.ChannelPinnedMessage)];
  await inAnn.pin('so that all see');
  const [channel, time] = await told;
  const [note] = await notice;
  step('channelPinsUpdate', channel.id === cfg.channel && Math.abs(time - Date.now()) < 60_000 && channel.lastPinTimestamp === time);
  step('the message that tells of it', note.system && note.author.id === ann.id && note.reference.messageId === m.id && note.content === '' && note.member.id === ann.id);
  await refused('a reply to it', note.reply('why?'), 400, 50035);
  await refused('an edit of it', ann.channel.messages.edit(note.id, 'because'), 403, 50021);
  await refused('a pin of it', ann.channel.messages.pin(note.id), 403, 50021);
  const second = await ann.channel.send('more rules');
  await ann.call('PUT', `/channels/${cfg.channel}/pins/${second.id}`); // the older route
  await until('both are pinned', () => [m, second].every(({ id }) => ben.channel.messages.cache.get(id)?.pinned));
  await agree('after pins');
  for (const bot of [ben, ann]) await guildAgrees(bot, 'after pins');
  const page = await ben.channel.messages.fetchPins({ limit: 1 });
  step('pins, newest first', page.items.length === 1 && page.hasMore && page.items[0].message.id === second.id && page.items[0].pinnedTimestamp > 0);
  const old = await ben.call('GET', `/channels/${cfg.channel}/pins`);
  step('pins by the older route', old.map((p) => p.id).join() === [second.id, m.id].join());
  await inAnn.unpin();
  await ann.call('DELETE', `/channels/${cfg.channel}/pins/${second.id}`);
  await until('nothing is pinned', () => !ben.channel.messages.cache.some((x) => x.pinned) && ben.channel.lastPinTimestamp === null);
  await agree('after pins were taken away');
  for (const bot of [ben, ann]) await guildAgrees(bot, 'after pins were taken away');
}

async function files({ ann, ben }) {
  const picture = 'https://cdn.example.org/cat.png';
  step('a picture by its address', (await at(ben, await ann.channel.send(picture))).content === picture);
  await refused('a file', ann.channel.send({ content: 'look', files: [{ attachment: Buffer.from('meow'), name: 'cat.txt' }] }), 400, 50035);
  const form = new FormData();
  form.append('payload_json', JSON.stringify({ content: 'as a form' }));
  const answer = await fetch(`${cfg.edges[0]}/api/v10/channels/${cfg.channel}/messages`, { method: 'POST', body: form, headers: { authorization: `Bot ${ann.token}` } });
  const made = await answer.json();
  step('a form without files', answer.status === 200 && (await at(ben, made)).content === 'as a form', made);
  await refused('crosspost', ann.channel.messages.crosspost(made.id), 404, 0);
  await refused('thread', ann.channel.threads.create({ name: 'threads are not there' }), 404, 0);
  await refused('webhook', ann.channel.createWebhook({ name: 'nor these' }), 404, 0);
}

async function bulk({ ann, ben, agree }) {
  const many = [];
  for (let i = 0; i < 5; i += 1) many.push(await ben.channel.send(`spam ${i}`));
  await at(ann, many[4]);
  await refused('bulk delete without the right', ben.channel.bulkDelete(many), 403, 50013);
  const gone = ben.next(Events.MessageBulkDelete);
  const deleted = await ann.channel.bulkDelete(many.slice(0, 4));
  step('messageDeleteBulk', (await gone)[0].size === 4 && deleted.size === 4);
  const one = ben.next(Events.MessageDelete);
  await ann.channel.messages.delete(many[4].id);
  step('messageDelete', (await one)[0].content === 'spam 4');
  await agree('at the end');
}
