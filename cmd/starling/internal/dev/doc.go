// Package dev runs a whole mesh on one machine: plans the ports, keeps development CAs, starts hub, leaves, core and edges in
// order, in this process or each in one of its own, says where to connect, and stops all in the opposite order. It knows the roles only as
// role.Node and as subcommands of the same binary; nothing of the mesh's own work happens here, and it is not for production.
package dev
