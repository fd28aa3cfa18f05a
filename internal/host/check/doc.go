// Package check asks a running bastion whether it keeps its promises: by logging in
// as people do, by trying what must not work, by looking at what arrived elsewhere.
//
// Each check prints one line of JSON, as those of the bootstrap do:
//
//	{"postern":"check","name":"recording","result":"pass","detail":"...","ms":812}
//
// # Logging in
//
// The account [settings.CheckUser] has no key but for the seconds of a run. That
// one is made anew, held in memory, taken from the loopback address only, and has
// a date after which sshd refuses it, should a run be killed before it could
// remove it.
package check
