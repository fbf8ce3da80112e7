// Package memory keeps what is of the moment in one process: presence, the session registry, limits and caches, each bounded. It is what a
// mesh without Redis runs on, and what counts limits while Redis is away. It is no database: what it holds ends with the process, and two
// processes know nothing of each other.
package memory
