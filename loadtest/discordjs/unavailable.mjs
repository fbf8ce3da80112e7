// The bucket of the guild of Ann and Ben cannot be reached for a while: Ann is connected by then, Ben comes meanwhile. Both find the guild again.
import { once } from 'node:events';
import { Events } from 'discord.js';
import { Bot, cfg, rest, step, until } from './lib.mjs';

const control = (what) => rest(null, 'POST', `/test/${what}`, {});

export default async function unavailable() {
  const ann = await new Bot(0, cfg.tokens[0]).login();
  step('there', ann.guild.available && ann.channel);
  const gone = once(ann.client, Events.GuildUnavailable);
  await control('away');
  step('guildUnavailable', (await gone)[0].id === cfg.guild && !ann.guild.available);
  const ben = new Bot(0, cfg.tokens[1]);
  const ready = once(ben.client, Events.ClientReady);
  await ben.client.login(ben.token);
  await ready;
  step('ready without it', ben.guild && !ben.guild.available);
  const back = [ann, ben].map((bot) => once(bot.client, Events.GuildAvailable));
  await control('back');
  const guilds = (await Promise.all(back)).map(([guild]) => guild);
  step('guildAvailable', guilds.every((guild) => guild.available && guild.channels.cache.has(cfg.channel) && guild.members.me));
  await control('say');
  for (const bot of [ann, ben]) await until('a message', () => bot.messages.includes('welcome back'));
  step('messages again', true);
}
