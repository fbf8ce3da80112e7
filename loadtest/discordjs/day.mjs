// A day of chat: messages both ways, edits, typing, a hidden channel, cut sockets, a session that nobody knows.
import { once } from 'node:events';
import { Events, Partials } from 'discord.js';
import { Bot, cfg, owner, step, until } from './lib.mjs';

const partials = [Partials.Message];

export default async function day() {
  const ann = await new Bot(0, cfg.tokens[0], { rough: true, partials }).login();
  const ben = await new Bot(1, cfg.tokens[1], { rough: true, partials }).login();
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
}
