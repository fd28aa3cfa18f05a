// Package check collects faults in what a user asked for, so that all of them
// are reported at once, each with the field, what was given, and how to fix it.
//
// It knows nothing of the CDK: a token is recognised by its text and never
// parsed, because its value is only known when the stack is deployed.
package check

import (
	"errors"
	"fmt"
	"net/mail"
	"net/netip"
	"strings"
	"time"
)

// Fault is one thing wrong with one field.
type Fault struct {
	// Field is the path of the field as the user wrote it, such as
	// "AllowedCidrs[1]" or "bastion.allowedCidrs[1]".
	Field string
	// Problem says what was given and why it can't stand. Lower case, no full stop.
	Problem string
	// Fix says what to write instead. Lower case, no full stop.
	Fix string
}

// Error joins the three parts in one line.
func (f *Fault) Error() string {
	s := f.Field + ": " + f.Problem
	if f.Fix != "" {
		s += ": " + f.Fix
	}
	return s
}

// Faults is a list of faults that grows while a configuration is examined.
// Its zero value is ready to use.
type Faults struct {
	list []*Fault
}

// Add records one fault.
func (f *Faults) Add(field, problem, fix string) {
	f.list = append(f.list, &Fault{Field: field, Problem: problem, Fix: fix})
}

// Addf records one fault whose problem is formatted.
func (f *Faults) Addf(field, fix, format string, args ...any) {
	f.Add(field, fmt.Sprintf(format, args...), fix)
}

// Check records the fault that a rule such as [CIDR] found in the field, if any.
func (f *Faults) Check(field string, fault *Fault) {
	if fault != nil {
		f.Add(field, fault.Problem, fault.Fix)
	}
}

// Merge takes over the faults of err, each under prefix. An error that is no
// fault of this package becomes one.
func (f *Faults) Merge(prefix string, err error) {
	for _, fault := range List(err) {
		f.Add(joinField(prefix, fault.Field), fault.Problem, fault.Fix)
	}
}

// Empty reports whether nothing was found.
func (f *Faults) Empty() bool { return len(f.list) == 0 }

// Err returns all faults joined, or nil.
func (f *Faults) Err() error {
	if f.Empty() {
		return nil
	}
	errs := make([]error, len(f.list))
	for i, fault := range f.list {
		errs[i] = fault
	}
	return errors.Join(errs...)
}

// List takes the faults out of an error that [Faults.Err] made, wrapped or not.
// What is no fault of this package comes back as a fault without a field.
func List(err error) []*Fault {
	if err == nil {
		return nil
	}
	if fault, ok := err.(*Fault); ok { //nolint:errorlint // unwrapping is what this function does
		return []*Fault{fault}
	}
	switch e := err.(type) { //nolint:errorlint // unwrapping is what this function does
	case interface{ Unwrap() []error }:
		var all []*Fault
		for _, inner := range e.Unwrap() {
			all = append(all, List(inner)...)
		}
		return all
	case interface{ Unwrap() error }:
		if inner := List(e.Unwrap()); len(inner) > 0 {
			return inner
		}
	}
	return []*Fault{{Problem: err.Error()}}
}

func joinField(prefix, field string) string {
	switch {
	case prefix == "":
		return field
	case field == "" || strings.HasPrefix(field, "["):
		return prefix + field
	default:
		return prefix + "." + field
	}
}

// Token reports whether s holds a CDK token, whose value is not known yet.
func Token(s string) bool { return strings.Contains(s, "${Token[") }

// CIDR accepts an IPv4 or IPv6 block whose address is the first of the block,
// and tokens.
func CIDR(s string) *Fault {
	if Token(s) {
		return nil
	}
	prefix, err := netip.ParsePrefix(s)
	if err != nil {
		fix := "write an address and a prefix length, such as 203.0.113.0/24"
		if addr, err := netip.ParseAddr(s); err == nil {
			fix = fmt.Sprintf("for this one address write %s/%d", addr, addr.BitLen())
		}
		return &Fault{Problem: fmt.Sprintf("%q is not a CIDR block", s), Fix: fix}
	}
	if masked := prefix.Masked(); masked != prefix {
		return &Fault{
			Problem: fmt.Sprintf("%q has bits set outside its prefix", s),
			Fix:     fmt.Sprintf("write %s for the block or %s/%d for the address", masked, prefix.Addr(), prefix.Addr().BitLen()),
		}
	}
	return nil
}

// SourceIP accepts a block that requests to AWS can come from, and tokens. They have
// public addresses, or come by a VPC endpoint and have none:
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-sourceip.
func SourceIP(cidr string) *Fault {
	if fault := CIDR(cidr); fault != nil || Token(cidr) {
		return fault
	}
	if netip.MustParsePrefix(cidr).Addr().IsPrivate() {
		return &Fault{
			Problem: fmt.Sprintf("%q is a private range, which AWS sees no request come from", cidr),
			Fix:     "name the public addresses that people come from, or the VPC endpoints",
		}
	}
	return nil
}

// Everyone reports whether a block is the whole IPv4 or IPv6 internet.
func Everyone(cidr string) bool {
	prefix, err := netip.ParsePrefix(cidr)
	return err == nil && prefix.Bits() == 0
}

// TooWide reports whether a block is wider than any one network has a use for,
// and where such blocks end: two halves of the internet are everyone, too.
func TooWide(prefix netip.Prefix) (limit int, wide bool) {
	limit = 16
	if prefix.Addr().Is4() {
		limit = 8
	}
	return limit, prefix.Bits() < limit
}

// Port accepts 1 to 65535.
func Port(n int) *Fault { return Between(n, 1, 65535) }

// Between accepts min to max, both included.
func Between(n, low, high int) *Fault {
	if n < low || n > high {
		return &Fault{Problem: fmt.Sprintf("%d is out of range", n), Fix: fmt.Sprintf("use %d to %d", low, high)}
	}
	return nil
}

// Within accepts a duration from low to high, both included.
func Within(d, low, high time.Duration) *Fault {
	if d < low || d > high {
		return &Fault{Problem: fmt.Sprintf("%s is out of range", d), Fix: fmt.Sprintf("use %s to %s", low, high)}
	}
	return nil
}

// OneOf accepts the words listed; for another it names the nearest.
func OneOf[S ~string](word S, allowed ...S) *Fault {
	words := make([]string, len(allowed))
	for i, a := range allowed {
		if a == word {
			return nil
		}
		words[i] = string(a)
	}
	fix := "use one of " + strings.Join(words, ", ")
	if near := Nearest(string(word), words); near != "" {
		fix = fmt.Sprintf("did you mean %q? %s", near, fix)
	}
	return &Fault{Problem: fmt.Sprintf("%q is not known", string(word)), Fix: fix}
}

// Email accepts one bare address, and tokens.
func Email(s string) *Fault {
	if Token(s) {
		return nil
	}
	if addr, err := mail.ParseAddress(s); err != nil || addr.Address != s {
		return &Fault{Problem: fmt.Sprintf("%q is not an e-mail address", s), Fix: "write it bare, such as oncall@example.com"}
	}
	return nil
}
