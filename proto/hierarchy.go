package proto

// Above tells whether r stands above o in the guild's order of roles: by position, and of equals the older one.
func (r Role) Above(o Role) bool {
	if r.Position != o.Position {
		return r.Position > o.Position
	}
	return r.ID < o.ID
}

// HighestRole is the highest of a member's roles, the everyone role (whose id is the guild's) if there is no other.
func HighestRole(g ID, memberRoles []ID, roles map[ID]Role) Role {
	top := roles[g]
	for _, id := range memberRoles {
		if r, ok := roles[id]; ok && (top.ID == g || r.Above(top)) {
			top = r
		}
	}
	return top
}
