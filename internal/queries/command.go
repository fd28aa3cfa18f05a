package queries

import (
	"fmt"
	"strings"
)

// Command asks a saved query for the last day and prints the rows. The values of
// parameters come from variables of their names.
//
// The text is filled in here: what a saved query would do by itself with its
// parameters is only known from the console.
func Command(name string, parameters []Parameter, groups []string) string {
	var filled strings.Builder
	for _, p := range parameters {
		fmt.Fprintf(&filled, ` | sed "s|{{%s}}|${%s:?}|g"`, p.Name, p.Name)
	}
	return fmt.Sprintf(`text=$(aws logs describe-query-definitions --query-definition-name-prefix '%s' --query 'queryDefinitions[0].queryString' --output text%s) && `+
		`id=$(aws logs start-query --log-group-names %s --start-time "${from:-$(($(date +%%s) - 86400))}" --end-time "${to:-$(date +%%s)}" --query-string "$text" --query queryId --output text) && `+
		`while aws logs get-query-results --query-id "$id" --query status --output text | grep -qE '^(Scheduled|Running)$'; do sleep 1; done && `+
		`aws logs get-query-results --query-id "$id" --query "results[*][?field!='@ptr'].join('=', [field, value])" --output text`,
		name, filled.String(), strings.Join(groups, " "))
}
