// Package totp is the second factor.
package totp
