// Package chain keeps records in a form in which a later change shows.
//
// A chain is a directory of segments, 000001.cast or 000001.jsonl and so on, that
// are only ever appended to (FS_APPEND_FL: not even root changes or removes one
// without taking the flag away first). Read one after the other they are the
// record: a valid asciicast v2 file, or JSON lines.
//
// Lines of the chain's own, called marks, stand between those of the record. In
// JSON lines a mark is an object, in an asciicast a marker event whose label is
// "postern " and that object:
//
//	{"postern":"begin","chain":"5e0c9a41","segment":1,"time":"2026-11-21T23:45:01.5Z"}
//	{"postern":"seal","chain":"5e0c9a41","segment":1,"time":"...","sum":"<SHA-256>"}
//	{"postern":"link","chain":"5e0c9a41","segment":2,"time":"...","prev":"<SHA-256>","size":262013}
//	{"postern":"end","chain":"5e0c9a41","segment":2,"time":"...","sum":"<SHA-256>"}
//
// begin is in segment 1, behind the header if the record has one; link is the
// first line of each other segment and holds the digest and the size of the whole
// segment before it; resume is a link that goes on behind an end, as logs do after
// a reboot. seal is the last line of a closed segment, end that of the last one:
// their sum is the digest of all bytes of the segment that stand before it. So a
// segment that is still open has no seal, one that was cut short has none either
// but a follower that knows its size, and a record without an end says that it has
// none. torn, {"postern":"torn","bytes":N}, names what a crash left of a line: the
// N bytes of the line before it. Readers skip lines that are no JSON.
//
// Who can write as root on the host can write another chain that is whole. What
// that can't change are the copies that had left the host: compare with those.
//
// The package runs wherever Go does; only writing wants Linux.
package chain
