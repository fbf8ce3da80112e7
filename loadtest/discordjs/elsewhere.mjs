// A client that goes on while its edges die: every dispatch, every message in the order in which the library tells it, and every IDENTIFY and
// RESUME that it sends is a line of JSON, until standard input ends.
import { Events } from 'discord.js';
import { Bot, cfg } from './lib.mjs';

const tell = (line) => console.log(JSON.stringify(line));

export default async function elsewhere() {
  const bot = new Bot(0, cfg.tokens[0], { rough: true });
  bot.client.on('raw', (packet) => { if (packet.op === 0) tell({ packet }); });
  bot.client.on(Events.MessageCreate, (m) => tell({ heard: m.id }));
  bot.client.on(Events.Debug, (line) => { if (/Identifying/.test(line)) tell({ sent: 2 }); else if (/Resuming session/.test(line)) tell({ sent: 6 }); });
  await bot.login();
  tell({ ready: true });
  await new Promise((resolve) => { process.stdin.on('end', resolve).resume(); });
}
