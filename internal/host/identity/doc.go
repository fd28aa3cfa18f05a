// Package identity keeps the host keys of sshd when an instance is replaced, so
// that nobody learns to click a warning away.
//
// Each key is a SecureString parameter PARAMETER_PATH/host-keys/VERSION/KIND. The
// first instance makes the keys and puts them there, every later one takes them
// from there. A parameter that exists is never written again: of two instances
// that come up at once one puts its key, and the other takes that.
//
// The public keys are published as PARAMETER_PATH/known_hosts, a String parameter
// of lines for ~/.ssh/known_hosts. Their first field is [Alias], for HostKeyAlias
// in ~/.ssh/config: it holds for whatever way leads to the host, an address, a
// load balancer or Session Manager.
//
// # Rotation
//
// Another Version makes new keys, and whoever knows the old ones is warned. To
// warn nobody, name it as Next first: its keys are made and published, and sshd
// tells clients of them after login (UpdateHostKeys of OpenSSH, on unless
// UserKnownHostsFile is set), while it still proves itself by the present ones. When people have had time to
// log in, Next becomes Version.
//
// # Certificates
//
// By choice a certificate that an authority of the user's signed for a host key is
// taken from PARAMETER_PATH/host-certs/KIND, tried, and given to sshd. Its name must
// be the alias in lower case: that is how ssh compares it.
//
// # What goes wrong
//
// Where the keys can't be had, those on the host stay, an alarm is written and
// [Run] fails: a changed key is not hidden. A stored key that is damaged is left as
// it is, since what it was can't be guessed.
package identity
