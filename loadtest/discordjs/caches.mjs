// Compares what a client holds in its caches with what REST tells the same account, in the form of REST. A cache follows by events, so it is
// given time.
import { ChannelType } from 'discord.js';
import { settles } from './lib.mjs';

const byID = (list) => Object.fromEntries(list.map((x) => [x.id, x]));
const pick = (o, ...keys) => Object.fromEntries(keys.map((k) => [k, o[k]]));

const overwrites = (list) => byID(list.map((o) => pick(o, 'id', 'type', 'allow', 'deny')));

function cachedChannel(ch) {
  return {
    id: ch.id, type: ch.type, name: ch.name, position: ch.rawPosition, parent_id: ch.parentId,
    permission_overwrites: overwrites(ch.permissionOverwrites.cache.map((o) => (
      { id: o.id, type: o.type, allow: o.allow.bitfield.toString(), deny: o.deny.bitfield.toString() }))),
    ...(ch.type === ChannelType.GuildText && {
      topic: ch.topic, nsfw: ch.nsfw, rate_limit_per_user: ch.rateLimitPerUser, last_message_id: ch.lastMessageId,
      last_pin_timestamp: ch.lastPinTimestamp ?? null,
    }),
  };
}

function toldChannel(ch) {
  const told = { ...pick(ch, 'id', 'type', 'name', 'position', 'parent_id'), permission_overwrites: overwrites(ch.permission_overwrites) };
  if (ch.type !== ChannelType.GuildText) return told;
  return { ...told, ...pick(ch, 'topic', 'nsfw', 'rate_limit_per_user', 'last_message_id'),
    last_pin_timestamp: ch.last_pin_timestamp ? Date.parse(ch.last_pin_timestamp) : null };
}

const cachedRole = (r) => ({ id: r.id, name: r.name, color: r.colors.primaryColor, hoist: r.hoist, mentionable: r.mentionable,
  position: r.rawPosition, permissions: r.permissions.bitfield.toString() });
const toldRole = (r) => ({ ...pick(r, 'id', 'name', 'hoist', 'mentionable', 'position', 'permissions'), color: r.colors.primary_color });

const cachedMember = (m, guild) => ({ id: m.id, nick: m.nickname, roles: m.roles.cache.map((r) => r.id).filter((id) => id !== guild).sort(),
  username: m.user.username, global_name: m.user.globalName, bot: m.user.bot, joined_at: m.joinedTimestamp,
  communication_disabled_until: m.communicationDisabledUntilTimestamp });
const toldMember = (m) => ({ id: m.user.id, nick: m.nick, roles: m.roles.toSorted(), username: m.user.username, global_name: m.user.global_name,
  bot: m.user.bot, joined_at: Date.parse(m.joined_at),
  communication_disabled_until: m.communication_disabled_until ? Date.parse(m.communication_disabled_until) : null });

const ofGuild = (g) => ({ name: g.name, description: g.description, owner_id: g.ownerId, icon: g.icon, banner: g.banner,
  verification_level: g.verificationLevel, system_channel_id: g.systemChannelId, rules_channel_id: g.rulesChannelId, member_count: g.memberCount });

// guildAgrees compares a guild with its channels, roles and members.
export async function guildAgrees(bot, when, id = bot.guild?.id) {
  await settles(`${when}: the guild in the cache is what REST tells`, async () => {
    const [guild, channels, members] = await Promise.all([
      bot.call('GET', `/guilds/${id}?with_counts=true`), bot.call('GET', `/guilds/${id}/channels`), bot.call('GET', `/guilds/${id}/members?limit=1000`)]);
    const g = bot.client.guilds.cache.get(id);
    const { name, description, owner_id, icon, banner, verification_level, system_channel_id, rules_channel_id } = guild;
    return [
      { ...ofGuild(g), channels: byID(g.channels.cache.map(cachedChannel)), roles: byID(g.roles.cache.map(cachedRole)),
        members: byID(g.members.cache.map((m) => cachedMember(m, id))) },
      { name, description, owner_id, icon, banner, verification_level, system_channel_id, rules_channel_id, member_count: members.length,
        channels: byID(channels.map(toldChannel)), roles: byID(guild.roles.map(toldRole)), members: byID(members.map(toldMember)) },
    ];
  });
}

const cachedMessage = (m) => ({ id: m.id, content: m.content, author: m.author.id, type: m.type, pinned: m.pinned,
  created: m.createdTimestamp, edited: m.editedTimestamp, everyone: m.mentions.everyone, users: [...m.mentions.users.keys()].sort(),
  roles: [...m.mentions.roles.keys()].sort(), reference: m.reference?.messageId ?? null, nonce: m.nonce ?? null,
  reactions: Object.fromEntries(m.reactions.cache.map((r) => [r.emoji.name, [r.count, r.me]])) });
const toldMessage = (m) => ({ id: m.id, content: m.content, author: m.author.id, type: m.type, pinned: m.pinned,
  created: Date.parse(m.timestamp), edited: m.edited_timestamp ? Date.parse(m.edited_timestamp) : null, everyone: m.mention_everyone,
  users: m.mentions.map((u) => u.id).sort(), roles: m.mention_roles.toSorted(), reference: m.message_reference?.message_id ?? null,
  nonce: m.nonce ?? null, reactions: Object.fromEntries((m.reactions ?? []).map((r) => [r.emoji.name, [r.count, r.me]])) });

// messagesAgree compares all messages of a channel that the client has followed since the first of them.
export async function messagesAgree(bot, channel, when) {
  await settles(`${when}: the messages in the cache are what REST tells`, async () => {
    const told = await bot.call('GET', `/channels/${channel}/messages?limit=100`);
    const cache = bot.client.channels.cache.get(channel).messages.cache;
    return [byID(cache.map(cachedMessage)), byID(told.map(toldMessage))];
  });
}
