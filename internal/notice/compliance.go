package notice

// viaConfig is the detail-type of changes in what AWS Config finds.
//
// docs.aws.amazon.com/config/latest/developerguide/monitor-config-with-cloudwatchevents.html
const viaConfig = "Config Rules Compliance Change"

// NonCompliant tells of resources that began to break one of some Config rules. It
// needs no trail.
func NonCompliant(rules []string) Rule {
	names := make([]any, len(rules))
	for i, name := range rules {
		names[i] = name
	}
	return Rule{
		Pattern: map[string]any{
			"source":      []any{"aws.config"},
			"detail-type": []any{viaConfig},
			"detail": map[string]any{
				"messageType":         []any{"ComplianceChangeNotification"},
				"configRuleName":      names,
				"newEvaluationResult": map[string]any{"complianceType": []any{"NON_COMPLIANT"}},
			},
		},
		Words: say(map[string]string{
			"resource": "$.detail.resourceId",
			"type":     "$.detail.resourceType",
			"rule":     "$.detail.configRuleName",
			"when":     "$.time",
			"region":   "$.region",
			"account":  "$.account",
		}, "NOT COMPLIANT: <resource> breaks <rule>",
			"What: <type> <resource>. When: <when>. Where: account <account>, region <region>.",
			"Look closer: aws configservice get-resource-config-history --resource-type <type> --resource-id <resource> --limit 2 --region <region>",
			"What the rule wants: aws configservice describe-config-rules --config-rule-names <rule> --region <region>"),
	}
}
