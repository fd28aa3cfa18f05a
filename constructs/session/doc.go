// Package session opens shells on private instances through AWS Systems Manager
// Session Manager, with no port open to anyone.
package session
