package server

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/postern-cdk/postern/internal/localcfn/cloud"
)

func (s *Server) ec2(w http.ResponseWriter, action string, f form) {
	const namespace = "http://ec2.amazonaws.com/doc/2016-11-15/"
	if action != "DescribeAvailabilityZones" {
		code, message := fault(unsupported("EC2", action))
		s.xml(w, http.StatusBadRequest, group("Response",
			group("Errors", group("Error", text("Code", code), text("Message", message))), text("RequestID", s.id())))
		return
	}
	names := map[string]bool{}
	for i := 1; f.get("ZoneName."+strconv.Itoa(i)) != ""; i++ {
		names[f.get("ZoneName."+strconv.Itoa(i))] = true
	}
	info := el{name: "availabilityZoneInfo"}
	for _, z := range cloud.Zones(s.region) {
		if len(names) > 0 && !names[z] {
			continue
		}
		info.kids = append(info.kids, group("item",
			text("zoneName", z), text("zoneState", "available"), text("regionName", s.region), text("zoneId", cloud.ZoneID(s.region, z)),
			text("zoneType", "availability-zone"), text("groupName", strings.TrimRight(z, "abcdef")), text("optInStatus", "opt-in-not-required")))
	}
	s.xml(w, http.StatusOK, el{name: action + "Response", space: namespace, kids: []el{text("requestId", s.id()), info}})
}
