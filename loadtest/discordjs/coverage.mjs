// Prints every route and every event of Discord's v10 API as discord.js's own types package has them, as JSON: {"routes":[{name, method,
// path}],"events":[…]}. Names and events are its code's; methods stand only in the comments of its declarations. A name whose comment is
// missing is an error: nothing may slip through.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { GatewayDispatchEvents, Routes } from 'discord-api-types/v10';

const root = dirname(createRequire(import.meta.url).resolve('discord-api-types/v10'));
const text = readFileSync(join(root, '_generated_/rest/v10/interfaces.d.ts'), 'utf8');
const documented = new Map();
for (const [, comment, name] of text.matchAll(/\/\*\*((?:(?!\*\/)[^])*)\*\/\s*(\w+)\(/g)) {
	const lines = [...comment.matchAll(/-\s+(GET|POST|PUT|PATCH|DELETE)\s+`([^`]+)`/g)].map(([, method, path]) => ({ name, method, path }));
	documented.set(name, lines);
}
const routes = Object.keys(Routes).flatMap((name) => {
	const lines = documented.get(name);
	if (!lines?.length) throw new Error(`no method is known of the route ${name}`);
	return lines;
});
console.log(JSON.stringify({ routes, events: Object.values(GatewayDispatchEvents) }));
