// Two clients of one bot do not know of each other's sends, so 429s come; discord.js waits and repeats.
import { Bot, cfg, step, until } from './lib.mjs';

export default async function limits() {
  const left = async () => (await new Bot(0, cfg.tokens[0]).call('GET', '/gateway/bot')).session_start_limit.remaining;
  const starts = await left();
  const bots = [await new Bot(0, cfg.tokens[0]).login(), await new Bot(1, cfg.tokens[0]).login()];
  await until('both starts are counted', async () => await left() <= starts - 2);
  const texts = [];
  await Promise.all(bots.flatMap((bot, i) => [0, 1, 2, 3, 4].map((n) => {
    texts.push(`${i}.${n}`);
    return bot.channel.send(`${i}.${n}`);
  })));
  const history = [...(await bots[0].channel.messages.fetch({ limit: 100 })).values()].map((m) => m.content);
  step('429 honoured', bots[0].limited + bots[1].limited > 0);
  step('every message once', history.toSorted().join() === texts.toSorted().join(), history.join());
}
