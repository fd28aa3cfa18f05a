package policy

// DataProtection is a data protection policy of a log group: what CloudWatch
// Logs masks in its events, and where it reports that it found some.
//
// docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch-logs-data-protection-policies.html
type DataProtection struct {
	Name, Description string
	// Managed are names of AWS's own identifiers, such as "AwsSecretKey".
	Managed []string
	// Custom are identifiers by regular expression.
	Custom []DataIdentifier
	// Findings is the name of the log group that findings are reported to, or "".
	Findings string
}

// DataIdentifier is data by its form.
type DataIdentifier struct {
	Name, Regex string
}

// Object is the policy as maps and lists. The partition may be a token.
func (p DataProtection) Object(partition string) map[string]any {
	var identifiers, custom []any
	for _, name := range p.Managed {
		identifiers = append(identifiers, "arn:"+partition+":dataprotection::aws:data-identifier/"+name)
	}
	for _, c := range p.Custom {
		identifiers = append(identifiers, c.Name)
		custom = append(custom, map[string]any{"Name": c.Name, "Regex": c.Regex})
	}
	destination := map[string]any{}
	if p.Findings != "" {
		destination["CloudWatchLogs"] = map[string]any{"LogGroup": p.Findings}
	}
	object := map[string]any{
		"Name": p.Name, "Description": p.Description, "Version": "2021-06-01",
		// Both statements must name the same identifiers.
		"Statement": []any{
			map[string]any{
				"Sid": "Audit", "DataIdentifier": identifiers,
				"Operation": map[string]any{"Audit": map[string]any{"FindingsDestination": destination}},
			},
			map[string]any{
				"Sid": "Mask", "DataIdentifier": identifiers,
				"Operation": map[string]any{"Deidentify": map[string]any{"MaskConfig": map[string]any{}}},
			},
		},
	}
	if len(custom) > 0 {
		object["Configuration"] = map[string]any{"CustomDataIdentifier": custom}
	}
	return object
}
