// Runs the story that STORY names, with unmodified discord.js clients on two edges. STORY holds as JSON the addresses, tokens and ids; each step
// prints a JSON line {"step","ok","note"?}; the exit code is 1 when one failed.
import { cfg, ended, state, step } from './lib.mjs';

process.on('unhandledRejection', (err) => step('unhandled', false, err?.stack ?? err));
try {
  const { default: story } = await import(`./${cfg.story}.mjs`);
  await story();
  await ended();
} catch (err) {
  step('story', false, err.stack);
}
process.exit(state.failed ? 1 : 0);
