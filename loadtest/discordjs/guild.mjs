// Ann, a bot that is administrator, runs the town from one edge; Ben, a bot without any right, follows it in his caches at the other; Olivia
// owns it, and Rudy, Cleo and Dan live there.
import { AuditLogEvent, ChannelType, Events, OverwriteType, PermissionFlagsBits } from 'discord.js';
import { guildAgrees } from './caches.mjs';
import { Bot, Person, cfg, every, newBot, owner, refused, rest, step, until } from './lib.mjs';

const forbidden = [403, 50013];
const icon = 'data:image/png;base64,iVBORw0KGgo=';

export default async function guild() {
  const [annBot, benBot] = [await newBot('ann', { permissions: PermissionFlagsBits.Administrator }), await newBot('ben')];
  const people = await Promise.all(['rudy', 'cleo', 'dan'].map((name) => Person.settle(name)));
  const ann = await new Bot(0, annBot.token, { intents: every }).login();
  const ben = await new Bot(1, benBot.token, { intents: every }).login();
  const story = { ann, ben, people, agree: async (when) => { for (const bot of [ben, ann]) await guildAgrees(bot, when); } };
  await story.agree('at the start');
  await itself(story);
  await channels(story);
  await roles(story);
  await members(story);
  await invites(story);
  await moderation(story);
  await end(story);
}

async function itself({ ann, ben, agree }) {
  const heard = ben.next(Events.GuildUpdate, (_, now) => now.name === 'Newtown');
  await ann.guild.edit({ name: 'Newtown', description: 'by the river', verificationLevel: 2, icon, banner: icon });
  const [before, after] = await heard;
  step('guildUpdate', before.name !== after.name && after.description === 'by the river' && after.icon === icon);
  await ann.guild.setSystemChannel(cfg.channel);
  await ann.guild.setRulesChannel(cfg.channel);
  await ann.guild.setIcon(null);
  await refused('edit without the right', ben.guild.setName('Bentown'), ...forbidden);
  await agree('after the guild was edited');
}

async function channels({ ann, ben, people: [rudy], agree }) {
  const { channels: of } = ann.guild;
  const loft = await of.create({ name: 'loft', type: ChannelType.GuildCategory });
  const attic = await of.create({ name: 'attic', parent: loft, topic: 'old things', nsfw: true, rateLimitPerUser: 21600,
    permissionOverwrites: [{ id: cfg.guild, deny: PermissionFlagsBits.AddReactions }] });
  await agree('after channels were made');
  await attic.edit({ topic: 'older things', nsfw: false, name: 'cellar' });
  await attic.lockPermissions();
  await attic.setParent(null, { lockPermissions: false });
  await of.setPositions([{ channel: attic, position: 7 }, { channel: loft, position: 3 }, { channel: cfg.channel, position: 5, parent: loft.id }]);
  await agree('after channels were moved in one call');
  step('order and category', ben.guild.channels.cache.get(cfg.channel).parent?.name === 'loft' && ben.guild.channels.cache.get(attic.id).rawPosition === 7);

  // Slow mode holds people, not bots.
  await rudy.say(attic.id, 'once');
  const slowed = await rudy.say(attic.id, 'twice').then(() => null, (err) => err);
  step('slow mode', slowed?.status === 429 && slowed.code === 20016 && slowed.retry_after > 20000, slowed);
  await ben.client.channels.cache.get(attic.id).send('once');
  await ben.client.channels.cache.get(attic.id).send('twice');
  await attic.setRateLimitPerUser(0);
  await rudy.say(attic.id, 'thrice');

  // Overwrites of a member and of a role; what is hidden leaves the cache and comes back.
  const gone = ben.next(Events.ChannelDelete, (ch) => ch.id === attic.id);
  await attic.permissionOverwrites.create(ben.id, { ViewChannel: false });
  await gone;
  await agree('after a channel was hidden');
  await attic.permissionOverwrites.edit(ben.id, { ViewChannel: true, SendMessages: false });
  await until('the channel comes back', () => ben.client.channels.cache.has(attic.id));
  await refused('send against an overwrite', ben.client.channels.cache.get(attic.id).send('no'), ...forbidden);
  step('own permissions', !ben.client.channels.cache.get(attic.id).permissionsFor(ben.id).has(PermissionFlagsBits.SendMessages));
  await attic.permissionOverwrites.set([{ id: cfg.guild, type: OverwriteType.Role, deny: PermissionFlagsBits.EmbedLinks }]);
  await agree('after overwrites were set');
  await attic.permissionOverwrites.delete(cfg.guild);
  const copy = await attic.clone({ name: 'copy' });
  await agree('after a channel was cloned');
  await copy.delete('no longer wanted');
  await loft.delete();
  await refused('channel made without the right', ben.guild.channels.create({ name: 'mine' }), ...forbidden);
  await agree('after a category was deleted');
  step('the child of a deleted category stays', ben.guild.channels.cache.get(cfg.channel).parentId === null);
}

async function roles({ ann, ben, people: [rudy], agree }) {
  const { roles: of } = ann.guild;
  const low = await of.create({ name: 'low', colors: { primaryColor: 0x336699 }, hoist: true, mentionable: true, permissions: [PermissionFlagsBits.ManageRoles] });
  const high = await of.create({ name: 'high', reason: 'above' });
  await agree('after roles were made');
  await ann.guild.members.cache.get(ben.id).roles.add(low);
  await of.setPositions([{ role: high, position: 2 }, { role: low, position: 1 }]);
  await agree('after roles were moved');
  await high.edit({ name: 'higher', hoist: true, mentionable: true, permissions: ['ManageMessages'], colors: { primaryColor: 0xff0000 } });
  const inBen = (role) => ben.guild.roles.cache.get(role.id);
  await until('roleUpdate', () => inBen(high).name === 'higher');
  await refused('edit of a higher role', inBen(high).setName('mine'), ...forbidden);
  await refused('delete of a higher role', inBen(high).delete(), ...forbidden);
  await refused('a higher role for oneself', ben.guild.members.me.roles.add(high), ...forbidden);
  await refused('more rights than one has', inBen(low).setPermissions(['Administrator']), ...forbidden);
  const own = await ben.guild.roles.create({ name: 'lowest', permissions: [] });
  await ben.guild.members.cache.get(rudy.id).roles.add(own);
  await agree('after a low role managed lower ones');
  const moved = ben.guild.roles.cache.get(own.id).comparePositionTo(inBen(low));
  step('a new role is at the bottom', moved < 0, `${moved}`);
  await high.delete();
  await ben.guild.roles.cache.get(own.id).delete();
  await ann.guild.members.cache.get(ben.id).roles.remove(low);
  await agree('after roles were deleted');
}

async function members({ ann, ben, people, agree }) {
  const [rudy, cleo] = people;
  const pages = [];
  for (let after = '0'; ;) {
    const page = await ann.guild.members.list({ limit: 2, after, cache: false });
    if (page.size === 0) break;
    pages.push(...page.keys());
    after = page.lastKey();
  }
  step('members page by page', pages.length === ann.guild.memberCount && new Set(pages).size === pages.length, `${pages.length} of ${ann.guild.memberCount}`);
  const found = await ben.guild.members.search({ query: 'RUDY', limit: 5 });
  step('search', [...found.keys()].join() === rudy.id);
  await ann.guild.members.edit(rudy.id, { nick: 'Grumpy', reason: 'he is' });
  await ben.guild.members.me.setNickname('Benny');
  step('found by nick', (await ben.guild.members.search({ query: 'grum', limit: 5 })).has(rudy.id));
  await refused('nick of another', ben.guild.members.cache.get(cleo.id).setNickname('x'), ...forbidden);
  await ann.guild.members.cache.get(rudy.id).timeout(60_000, 'calm down');
  await agree('after members were edited');
  step('a timeout in the cache', ben.guild.members.cache.get(rudy.id).isCommunicationDisabled());
  const silenced = await rudy.say(cfg.channel, 'let me').then(() => null, (err) => err);
  step('timed out', silenced?.status === 403, silenced);
  await ann.guild.members.cache.get(rudy.id).timeout(null);
  await rudy.say(cfg.channel, 'thank you');
  await agree('after the timeout was lifted');
}

async function invites({ ann, ben, people: [, cleo], agree }) {
  const made = ann.next(Events.InviteCreate);
  const invite = await ann.channel.createInvite({ maxAge: 600, maxUses: 2, temporary: true, unique: true });
  step('inviteCreate', (await made)[0].code === invite.code);
  const seen = await ben.client.fetchInvite(invite.code);
  step('preview', seen.guild.name === 'Newtown' && seen.channel.id === cfg.channel && seen.memberCount === ann.guild.memberCount && seen.inviter.id === ann.id);
  const eve = await Person.register('eve');
  const joins = ben.next(Events.GuildMemberAdd, (m) => m.id === eve.id);
  await eve.call('POST', `/invites/${invite.code}`, {});
  step('guildMemberAdd', (await joins)[0].user.username === eve.username);
  const listed = (await ann.guild.invites.fetch()).get(invite.code);
  step('invites of the guild', listed?.uses === 1 && listed.maxUses === 2 && listed.maxAge === 600 && listed.temporary && listed.createdTimestamp > 0, listed?.toJSON());
  step('invites of the channel', (await ann.guild.invites.fetch({ channelId: cfg.channel, cache: false })).has(invite.code));
  await refused('list without the right', ben.guild.invites.fetch(), ...forbidden);
  const revoked = ann.next(Events.InviteDelete);
  await invite.delete();
  step('inviteDelete', (await revoked)[0].code === invite.code);
  await refused('a revoked invite', ben.client.fetchInvite(invite.code), 404, 10006);
  const late = await cleo.call('POST', `/invites/${invite.code}`, {}).then(() => null, (err) => err);
  step('join by a revoked invite', late?.code === 10006, late);
  const left = ben.next(Events.GuildMemberRemove, (m) => m.id === eve.id);
  await eve.call('DELETE', `/users/@me/guilds/${cfg.guild}`);
  await left;
  await agree('after a join and a leave');
}

async function moderation({ ann, ben, people, agree }) {
  const [rudy, cleo, dan] = people;
  const { members: of, bans } = ann.guild;
  await rudy.say(cfg.channel, 'rude words');
  await until('rude words', () => ben.messages.includes('rude words'));
  await refused('kick without the right', ben.guild.members.kick(dan.id), ...forbidden);
  let removed = ben.next(Events.GuildMemberRemove, (m) => m.id === dan.id);
  await of.kick(dan.id, 'too loud');
  await removed;
  removed = ben.next(Events.GuildMemberRemove, (m) => m.id === rudy.id);
  const [banned, wiped] = [ann.next(Events.GuildBanAdd), ben.next(Events.MessageDelete, (m) => m.content === 'rude words')];
  const told = ann.next(Events.GuildAuditLogEntryCreate, (e) => e.action === AuditLogEvent.MemberBanAdd);
  await of.ban(rudy.id, { reason: 'rude', deleteMessageSeconds: 3600 });
  await Promise.all([removed, wiped]);
  step('guildBanAdd', (await banned)[0].user.id === rudy.id);
  const [entry] = await told;
  step('guildAuditLogEntryCreate', entry.targetId === rudy.id && entry.executorId === ann.id && entry.reason === 'rude');
  const bulk = await of.bulkBan([cleo.id, dan.id], { reason: 'all of them' });
  step('bulk ban', bulk.bannedUsers.length === 2 && bulk.failedUsers.length === 0, bulk);
  const list = await bans.fetch();
  step('bans', list.size === 3 && list.get(rudy.id).reason === 'rude' && (await bans.fetch({ limit: 1 })).size === 1);
  step('one ban', (await bans.fetch({ user: cleo.id, force: true })).reason === 'all of them');
  await refused('bans without the right', ben.guild.bans.fetch(), ...forbidden);
  const lifted = ann.next(Events.GuildBanRemove);
  await of.unban(rudy.id, 'forgiven');
  step('guildBanRemove', (await lifted)[0].user.id === rudy.id);
  await refused('a lifted ban', bans.fetch({ user: rudy.id, force: true }), 404, 10026);
  step('prune count', await of.prune({ dry: true, days: 7 }) === 0);
  await agree('after bans');

  const log = await ann.guild.fetchAuditLogs({ limit: 100 });
  const actions = new Set(log.entries.map((e) => e.action));
  const want = ['GuildUpdate', 'ChannelCreate', 'ChannelUpdate', 'ChannelDelete', 'ChannelOverwriteCreate', 'ChannelOverwriteUpdate', 'ChannelOverwriteDelete',
    'MemberKick', 'MemberBanAdd', 'MemberBanRemove', 'MemberUpdate', 'MemberRoleUpdate', 'RoleCreate', 'RoleUpdate', 'RoleDelete', 'InviteCreate', 'InviteDelete'];
  const missing = want.filter((name) => !actions.has(AuditLogEvent[name]));
  step('audit log', missing.length === 0, missing);
  const kicks = await ann.guild.fetchAuditLogs({ type: AuditLogEvent.MemberKick, user: ann.id });
  const kick = kicks.entries.first();
  step('audit log by action', kicks.entries.size === 1 && kick.reason === 'too loud' && kick.target.id === dan.id && kick.executor.id === ann.id);
  await refused('audit log without the right', ben.guild.fetchAuditLogs(), ...forbidden);
}

// Ben leaves, the town passes to Flo, who ends it.
async function end({ ann, ben, agree }) {
  const flo = await Person.settle('flo');
  const parts = ann.next(Events.GuildMemberRemove, (m) => m.id === ben.id);
  const [gone] = await Promise.all([ben.next(Events.GuildDelete), ben.guild.leave()]);
  await parts;
  step('leave', gone[0].id === cfg.guild && ben.client.guilds.cache.size === 0 && ben.client.channels.cache.size === 0);
  await owner('PUT', `/guilds/${cfg.guild}/members/${ben.id}`, {});
  await until('the guild again', () => ben.guild?.available && ben.guild.members.cache.has(flo.id));
  await agree('after a return');
  const heir = ben.next(Events.GuildUpdate, (_, now) => now.ownerId === flo.id);
  await owner('PATCH', `/guilds/${cfg.guild}`, { owner_id: flo.id });
  await heir;
  step('the new owner', ann.guild.ownerId === flo.id || (await until('owner at Ann', () => ann.guild.ownerId === flo.id)));
  const late = await owner('DELETE', `/guilds/${cfg.guild}`).then(() => null, (err) => err);
  step('the old owner cannot end it', late?.code === 50013, late);
  await agree('after it passed on');
  const ends = [ann, ben].map((bot) => bot.next(Events.GuildDelete, (g) => g.id === cfg.guild));
  await rest(flo.auth, 'DELETE', `/guilds/${cfg.guild}`);
  await Promise.all(ends);
  step('nothing is left', [ann, ben].every((bot) => bot.client.guilds.cache.size === 0 && bot.client.channels.cache.size === 0));
}
