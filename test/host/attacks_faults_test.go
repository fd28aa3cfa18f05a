//go:build linux

package host_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/postern-cdk/postern/test/host/lab"
)

// Attacks that wait for a fault, or make one.
func init() {
	// gone counts the others who lost their account.
	gone := func(x *Target) (int, string) {
		lost := 0
		for _, name := range x.Others {
			if _, code := x.Root(x.T, "id "+name); code != 0 {
				lost++
			}
		}
		return lost, fmt.Sprintf("%d of %d accounts are gone", lost, len(x.Others))
	}
	attacks = append(attacks,
		Attack{Group: "reconcile under faults", Name: "a refused listing removes everybody", Serial: true, Others: 3, Try: func(x *Target) (bool, string) {
			defer x.Fault(lab.Fault{Service: "s3", Status: 403})()
			x.Cycle()
			lost, evidence := gone(x)
			return lost > 0, evidence
		}},
		Attack{Group: "reconcile under faults", Name: "a second page that fails removes who is on it", Serial: true, Others: 3, Try: func(x *Target) (bool, string) {
			defer func(size int) { x.S3.PageSize = size }(x.S3.PageSize)
			x.S3.PageSize = 2
			defer x.Fault(lab.Fault{Service: "s3", Page: 2, Status: 500})()
			x.Cycle()
			lost, evidence := gone(x)
			return lost > 0, evidence
		}},
		Attack{Group: "reconcile under faults", Name: "no name resolution removes everybody", Serial: true, Others: 3, Try: func(x *Target) (bool, string) {
			defer x.Fault(lab.Fault{Service: "s3", NoDNS: true})()
			x.Cycle()
			lost, evidence := gone(x)
			return lost > 0, evidence
		}},
		Attack{Group: "reconcile under faults", Name: "an emptied bucket removes everybody", Serial: true, Others: 3, Try: func(x *Target) (bool, string) {
			// Where nobody may be removed any more, attacks after this one prove nothing.
			defer x.withdrawn(x.S3.Keys(lab.PeopleBucket, "public-keys/")...)()
			x.Cycle()
			lost, evidence := gone(x)
			return lost > 0, evidence
		}},
		Attack{Group: "revocation", Name: "the open session of somebody who was removed goes on", Serial: true, Others: 3, Try: func(x *Target) (bool, string) {
			return x.Try(func(s *lab.Session) (bool, string) {
				if _, _, err := s.Run("true"); err != nil {
					return false, err.Error()
				}
				x.S3.Delete("public-keys/" + x.Person + ".pub")
				x.Cycle()
				out, _, err := s.RunFor(`echo still"-here"`, 5*time.Second)
				return out == "still-here", fmt.Sprintf("%q, %v", out, err)
			})
		}},
		Attack{Group: "disk", Name: "on a full disk the session goes on unrecorded", Alone: true, DiskMiB: 1024, Try: func(x *Target) (bool, string) {
			return x.Try(func(s *lab.Session) (bool, string) {
				if _, _, err := s.RunFor(`head -c 2G /dev/zero >big 2>/dev/null`, time.Minute); err != nil {
					return false, err.Error()
				}
				out, _, err := s.RunFor(`head -c 200000 /dev/zero | tr '\0' x | fold -w 100 >/dev/tty; echo un"seen"`, 10*time.Second)
				return strings.Contains(out, "unseen") && !x.IsRecorded("unseen"), fmt.Sprintf("%d bytes of output, %v", len(out), err)
			})
		}},
		Attack{Group: "shutdown and crash", Name: "a power cut takes the record of the session with it", Alone: true, Try: func(x *Target) (bool, string) {
			return x.Try(func(s *lab.Session) (bool, string) {
				s.Type(`echo last-"words"`)
				if _, err := s.Wait("last-words", lab.Expectation); err != nil {
					return false, err.Error()
				}
				time.Sleep(6 * time.Second)
				x.Kill(x.T)
				for _, key := range x.S3.Keys(lab.RecordBucket, "") {
					o, _ := x.S3.Get(lab.RecordBucket, key)
					if strings.Contains(shown(string(o.Data))+string(o.Data), "last-words") {
						return false, key + " has it"
					}
				}
				for _, e := range x.Logs.All("") {
					if strings.Contains(e.Message, "last-words") {
						return false, "the logs have it"
					}
				}
				return true, "it is nowhere outside of the host"
			})
		}},
	)
}
