// Package people keeps the accounts on a bastion.
package people
