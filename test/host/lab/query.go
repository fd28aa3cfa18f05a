//go:build linux

package lab

import (
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// query answers the Query protocol: what CloudFormation, EC2, Auto Scaling, STS and
// CloudWatch speak. What only acts on the account is recorded and granted.
func (c *cloud) query(call *call) (any, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := call.form
	switch call.Service + " " + call.Op {
	case "cloudformation SignalResource":
		signal := Signal{time.Since(c.started), f.Get("Status"), f.Get("StackName"), f.Get("LogicalResourceId"), f.Get("UniqueId")}
		if signal.Stack == "" || signal.Resource == "" || signal.UniqueID == "" || signal.Status != "SUCCESS" && signal.Status != "FAILURE" {
			return nil, &apiError{http.StatusBadRequest, "ValidationError", fmt.Sprintf("not a signal: %+v", signal)}
		}
		c.signals = append(c.signals, signal)
		return "", nil
	case "ec2 AssociateAddress":
		c.other = append(c.other, f)
		return "<associationId>eipassoc-0123456789abcdef0</associationId><return>true</return>", nil
	case "ec2 DescribeAddresses":
		return "<addressesSet/>", nil
	case "ec2 DescribeTags":
		return "<tagSet><item><resourceId>" + InstanceID + "</resourceId><resourceType>instance</resourceType>" +
			"<key>aws:autoscaling:groupName</key><value>lab-group</value></item></tagSet>", nil
	case "sts GetCallerIdentity":
		return "<GetCallerIdentityResult><Arn>arn:aws:sts::" + Account + ":assumed-role/" + RoleName + "/" + InstanceID + "</Arn>" +
			"<UserId>AROALAB:" + InstanceID + "</UserId><Account>" + Account + "</Account></GetCallerIdentityResult>", nil
	case "autoscaling CompleteLifecycleAction", "autoscaling RecordLifecycleActionHeartbeat":
		c.other = append(c.other, f)
		return "<" + call.Op + "Result/>", nil
	case "autoscaling SetInstanceHealth", "monitoring PutMetricData":
		c.other = append(c.other, f)
		return "", nil
	}
	return nil, &apiError{http.StatusBadRequest, "InvalidAction", "the lab does not know " + call.Service + " " + call.Op}
}

// Calls are the recorded parameters of AssociateAddress, CompleteLifecycleAction,
// RecordLifecycleActionHeartbeat, SetInstanceHealth and PutMetricData.
func (l *Lab) Calls(action string) []url.Values {
	l.cloud.mu.Lock()
	defer l.cloud.mu.Unlock()
	var list []url.Values
	for _, values := range l.cloud.other {
		if values.Get("Action") == action {
			list = append(list, values)
		}
	}
	return list
}

func writeQuery(w http.ResponseWriter, c *call, out any, err error) {
	w.Header().Set("Content-Type", "text/xml")
	var e *apiError
	if errors.As(err, &e) {
		w.WriteHeader(e.status)
		if c.Service == "ec2" {
			writeXML(w, struct {
				XMLName xml.Name `xml:"Response"`
				Code    string   `xml:"Errors>Error>Code"`
				Message string   `xml:"Errors>Error>Message"`
			}{Code: e.code, Message: e.message})
			return
		}
		writeXML(w, struct {
			XMLName xml.Name `xml:"ErrorResponse"`
			Type    string   `xml:"Error>Type"`
			Code    string   `xml:"Error>Code"`
			Message string   `xml:"Error>Message"`
		}{Type: "Sender", Code: e.code, Message: e.message})
		return
	}
	if c.Service == "ec2" {
		fmt.Fprintf(w, `<%[1]sResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>lab</requestId>%[2]s</%[1]sResponse>`, c.Op, out)
		return
	}
	fmt.Fprintf(w, `<%[1]sResponse>%[2]s<ResponseMetadata><RequestId>lab</RequestId></ResponseMetadata></%[1]sResponse>`, c.Op, out)
}
