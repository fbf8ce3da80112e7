// Package auth makes and checks what proves who somebody is: opaque tokens of bots, EdDSA JWTs and refresh tokens of people, and argon2id
// password hashes. It is not the check of what somebody may do (package proto, permission.go) and it knows no store: whether a login is
// still alive or which secret a bot has now is asked by its callers.
package auth
