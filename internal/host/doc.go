// Package host makes what runs on a bastion: shell and configuration, embedded
// from files/, rendered by pure Go into EC2 user data.
package host
