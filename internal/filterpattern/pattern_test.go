package filterpattern

import (
	"strings"
	"testing"
)

// The lines of AWS's own examples.
const (
	trail = `{"eventType":"UpdateTrail","sourceIPAddress":"111.111.111.111","arrayKey":["value","another value"],` +
		`"objectList":[{"name":"a","id":1},{"name":"b","id":2}],"SomeObject":null,"ThisFlag":true,"cluster.name":"c"}`
	user = `{"user":{"id":1,"email":"John.Stiles@example.com"},"users":[{"id":2,"email":"John.Doe@example.com"},{"id":3,"email":"Jane.Doe@example.com"}],` +
		`"actions":["GET","PUT","DELETE"],"coordinates":[[0,1,2],[4,5,6],[7,8,9]]}`
	apache = `127.0.0.1 Prod frank [10/Oct/2000:13:25:15 -0700] "GET /index.html HTTP/1.0" 404 1534`

	badRequest   = `[ERROR 400] BAD REQUEST`
	unauthorized = `[ERROR 401] UNAUTHORIZED REQUEST`
	missing      = `[ERROR 419] MISSING ARGUMENTS`
	invalid      = `[ERROR 420] INVALID ARGUMENTS`

	info       = `INFO 09/25/2014 12:00:00 GET /service/resource/67 1200`
	infoPart   = `INFO 09/25/2014 12:00:01 POST /service/resource/67/part/111 1310`
	warning    = `WARNING 09/25/2014 12:00:02 Invalid user request`
	errorEvent = `ERROR 09/25/2014 12:00:02 Failed to process request`
)

// docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html and
// its sections, of today and before.
func TestDocumentedExamples(t *testing.T) {
	for _, c := range []struct{ pattern, line, want string }{
		// Regular expressions.
		{`%AUTHORIZED%`, unauthorized, "matches"},
		{`%AUTHORIZED%`, `[SUCCESS 200] AUTHORIZED REQUEST`, "matches"},
		{`%AUTHORIZED%`, badRequest, "differs"},
		{`%^[hc]at%`, `hat and cat`, "matches"},
		{`%^[hc]at%`, `a hat`, "differs"},
		{`%[hc]at$%`, `my hat`, "matches"},
		{`%[hc]at$%`, `hats`, "differs"},
		{`%colou?r%`, `color`, "matches"},
		{`%colou?r%`, `colour`, "matches"},
		{`%colou?r%`, `colouur`, "differs"},
		{`%^[abcx-z]$%`, `y`, "matches"},
		{`%^[abcx-z]$%`, `d`, "differs"},
		{`%^a{3,5}$%`, `aaa`, "matches"},
		{`%^a{3,5}$%`, `aaaaa`, "matches"},
		{`%^a{3,5}$%`, `aaaaaa`, "differs"},
		{`%^a{,2}$%`, `aa`, "matches"},
		{`%^a{,2}$%`, `aaa`, "differs"},
		{`%^a{2,}$%`, `aaa`, "matches"},
		{`%^starting|^initializing|^shutting down%`, `shutting down now`, "matches"},
		{`%^starting|^initializing|^shutting down%`, `skipping initializing ...`, "differs"},
		{`%abcc|ab[^c]$%`, `aba`, "matches"},
		{`%abcc|ab[^c]$%`, `aac`, "differs"},
		{`%\[.\]%`, `[7]`, "matches"},
		{`%\[.\]%`, `7`, "differs"},
		{`%10\.10\.0\.1%`, `10.10.0.1`, "matches"},
		{`%10\.10\.0\.1%`, `10010,051`, "differs"},
		{`%10.10.0.1%`, `10010,051`, "matches"},
		{`%^ab*c$%`, `ac`, "matches"},
		{`%^ab+c$%`, `ac`, "differs"},
		{`%ab[0-9]*%`, `ab129`, "matches"},
		{`%^.at$%`, `#at`, "matches"},
		{`%^\d$%`, `7`, "matches"},
		{`%^\D$%`, `7`, "differs"},
		{`%^\s$%`, "\t", "matches"},
		{`%^\W$%`, `_`, "differs"},
		{`%^\x3A$%`, `:`, "matches"},
		{`%^\x28$%`, `(`, "matches"},

		// Unstructured lines.
		{`ERROR`, badRequest, "matches"},
		{`ERROR`, `error`, "differs"},
		{`ERROR`, `Exiting with ERRORCODE: -1`, "matches"},
		{`ERROR ARGUMENTS`, missing, "matches"},
		{`ERROR ARGUMENTS`, invalid, "matches"},
		{`ERROR ARGUMENTS`, badRequest, "differs"},
		{`ERROR Exception`, `[ERROR] Caught IllegalArgumentException`, "matches"},
		{`Failed to process the request`, `[ERROR] Unable to continue: Failed to process the request`, "matches"},
		{`?ERROR ?ARGUMENTS`, badRequest, "matches"},
		{`?ERROR ?WARN`, `WARN message`, "matches"},
		{`?ERROR ?WARN`, `INFO message`, "differs"},
		{`?ERROR ?ARGUMENTS REQUEST`, `[INFO] REQUEST FAILED`, "matches"},
		{`?ERROR ?ARGUMENTS REQUEST`, missing, "differs"},
		{`"INTERNAL SERVER ERROR"`, `[ERROR 500] INTERNAL SERVER ERROR`, "matches"},
		{`"INTERNAL SERVER ERROR"`, `INTERNAL ERROR`, "differs"},
		{`ERROR -ARGUMENTS`, unauthorized, "matches"},
		{`ERROR -ARGUMENTS`, missing, "differs"},
		{`"ERROR" -"Exiting"`, `Exiting with ERRORCODE: -1`, "differs"},
		{`-ERROR`, `INFO`, "matches"},
		{`" "`, `anything`, "matches"},
		{`""`, `anything`, "matches"},
		{``, ``, "matches"},
		{`"\"level\":\"error\""`, `{"level":"error"}`, "matches"},

		// JSON lines.
		{`{ $.eventType = "UpdateTrail" }`, trail, "matches"},
		{`{ $.eventType = UpdateTrail }`, trail, "matches"},
		{`{$.eventType="UpdateTrail"}`, `UpdateTrail`, "differs"},
		{`{ $.sourceIPAddress != 123.123.* }`, trail, "matches"},
		{`{ $.sourceIPAddress != 111.111.* }`, trail, "differs"},
		{`{ $.arrayKey[0] = "value" }`, trail, "matches"},
		{`{ $.arrayKey[1] = "value" }`, trail, "differs"},
		{`{ $.arrayKey[2] = "value" }`, trail, "differs"},
		{`{ $.eventType[0] = "value" }`, trail, "differs"},
		{`{ $.eventType = %Trail% }`, trail, "matches"},
		{`{ $.eventType != %Trail% }`, trail, "differs"},
		{`{ $.arrayKey[*] = %val.{2}% }`, trail, "matches"},
		{`{ $.arrayKey[*] = "another value" }`, trail, "matches"},
		{`{ $.* = %111\.111\.111\.1[0-9]{1,2}% }`, trail, "matches"},
		{`{ $.['cluster.name'] = "c" }`, trail, "matches"},
		{`{ $.objectList[1].id = 2 }`, trail, "matches"},
		{`{ $.objectList[0].id = 2 }`, trail, "differs"},
		{`{ $.objectList[*].id = 2 }`, trail, "matches"},
		{`{ $.SomeObject IS NULL }`, trail, "matches"},
		{`{ $.SomeOtherObject IS NULL }`, trail, "differs"},
		{`{ $.SomeOtherObject NOT EXISTS }`, trail, "matches"},
		{`{ $.SomeObject NOT EXISTS }`, trail, "differs"},
		{`{ $.eventType NOT EXISTS }`, trail, "differs"},
		{`{ $.ThisFlag IS TRUE }`, trail, "matches"},
		{`{ $.ThisFlag IS FALSE }`, trail, "differs"},
		{`{ $.eventType = "*Trail" }`, trail, "matches"},
		{`{ $.eventType = "Update*" }`, trail, "matches"},
		{`{ $.eventType = *date* }`, trail, "matches"},
		{`{ $.eventType = "*Event" }`, trail, "differs"},
		{`{ ($.user.id = 1) && ($.users[0].email = "John.Doe@example.com") }`, user, "matches"},
		{`{ ($.user.id = 2 && $.users[0].email = "nonmatch") || $.actions[2] = "GET" }`, user, "differs"},
		{`{ $.user.email = "John.Stiles@example.com" || $.coordinates[0][1] = nonmatch && $.actions[2] = nonmatch }`, user, "matches"},
		{`{ ($.user.email = "John.Stiles@example.com" || $.coordinates[0][1] = nonmatch) && $.actions[2] = nonmatch }`, user, "differs"},
		{`{ $.users = 1 }`, `{"users":[1,2,3]}`, "differs"},
		{`{ $.users != 1 }`, `{"users":[1,2,3]}`, "differs"},
		{`{ $.bandwidth > 75 }`, `{"bandwidth":76}`, "matches"},
		{`{ $.bandwidth > 75 }`, `{"bandwidth":75}`, "differs"},
		{`{ $.latency < 50 }`, `{"latency":49.5}`, "matches"},
		{`{ $.refreshRate >= 60 }`, `{"refreshRate":60}`, "matches"},
		{`{ $.responseTime <= 5 }`, `{"responseTime":5.1}`, "differs"},
		{`{ $.errorCode = 400}`, `{"errorCode":400}`, "matches"},
		{`{ $.errorCode = 400}`, `{"errorCode":4e2}`, "matches"},
		{`{ $.errorCode != 500 }`, `{"errorCode":500}`, "differs"},
		{`{ $.number[0] = 1e+3 }`, `{"number":[1000]}`, "matches"},
		{`{ $.number[0] != 1e-3 }`, `{"number":[0.001]}`, "differs"},
		{`{ $.latency > +1000 }`, `{"latency":1001}`, "matches"},
		{`{ $.latency = * }`, `{"latency":12}`, "matches"},
		{`{ $.latency = * }`, `{}`, "differs"},
		{`{ $.status = 4* }`, `{"status":404}`, "matches"},
		{`{ ($.eventName = "UpdateTrail") && ($.recipientAccountId = 123456789012) }`, `{"eventName":"UpdateTrail","recipientAccountId":"123456789012"}`, "matches"},

		// Space-delimited lines.
		{`[ip=%127\.0\.0\.[1-9]%, user, username, timestamp, request =*.html*, status_code = 4*, bytes]`, apache, "matches"},
		{`[..., request =*.html*, status_code = 4*, bytes]`, apache, "matches"},
		{`[..., request=*.html*, status_code=4*,]`, apache, "matches"},
		{`[ip, user, username, timestamp, request =*.html*, status_code = 404 || status_code = 410, bytes]`, apache, "matches"},
		{`[ip, user, username, timestamp, request, status_code = 4* && bytes > 1000]`, apache, "error"},
		{`[ip, user, username, timestamp, request, status_code = 4*, bytes > 1000]`, apache, "matches"},
		{`[ip, user, username, timestamp, request, status_code, bytes > 2000]`, apache, "differs"},
		{`[ip, user, ..., status_code = 200, bytes]`, apache, "differs"},
		{`[ip = "127.0.0.1", ...]`, apache, "matches"},
		{`[w1=ERROR || w1=WARNING, w2]`, info, "differs"},
		{`[w1=ERROR, ...]`, errorEvent, "matches"},
		{`[w1!=ERROR && w1!=WARNING, ...]`, warning, "differs"},
		{`[w1!=ERROR && w1!=WARNING, ...]`, info, "matches"},
		{`[logLevel, date, time, method, url=%/service/resource/[0-9]+$%, response_time]`, info, "matches"},
		{`[logLevel, date, time, method, url=%/service/resource/[0-9]+$%, response_time]`, infoPart, "differs"},
		{`[logLevel, date, time, method, url=%/service/resource/[0-9]+/part/[0-9]+$%, response_time]`, infoPart, "matches"},
	} {
		p, err := Parse(c.pattern)
		if c.want == "error" {
			if err == nil {
				t.Errorf("%s: was read", c.pattern)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.pattern, err)
			continue
		}
		if got := p.Judge(c.line).String(); got != c.want {
			t.Errorf("%s on %s: %s, want %s", c.pattern, c.line, got, c.want)
		}
		if p.Match(c.line) != (c.want == "matches") {
			t.Errorf("%s on %s: Match disagrees with Judge", c.pattern, c.line)
		}
	}
}

// docs.aws.amazon.com/securityhub/latest/userguide/cloudwatch-controls.html has the
// patterns of the CIS benchmark.
func TestPatternsOfTheBenchmark(t *testing.T) {
	const root = `{$.userIdentity.type="Root" && $.userIdentity.invokedBy NOT EXISTS && $.eventType !="AwsServiceEvent"}`
	const noMFA = `{ ($.eventName = "ConsoleLogin") && ($.additionalEventData.MFAUsed != "Yes") && ($.userIdentity.type = "IAMUser") && ($.responseElements.ConsoleLogin = "Success") }`
	const unauthorizedCall = `{($.errorCode="*UnauthorizedOperation") || ($.errorCode="AccessDenied*")}`
	const keys = `{($.eventSource=kms.amazonaws.com) && (($.eventName=DisableKey) || ($.eventName=ScheduleKeyDeletion))}`
	for _, c := range []struct {
		pattern, line string
		want          Verdict
	}{
		{root, `{"eventType":"AwsApiCall","userIdentity":{"type":"Root"}}`, Matches},
		{root, `{"eventType":"AwsApiCall","userIdentity":{"type":"Root","invokedBy":"x.amazonaws.com"}}`, Differs},
		{root, `{"eventType":"AwsServiceEvent","userIdentity":{"type":"Root"}}`, Differs},
		{noMFA, `{"eventName":"ConsoleLogin","additionalEventData":{"MFAUsed":"No"},"userIdentity":{"type":"IAMUser"},"responseElements":{"ConsoleLogin":"Success"}}`, Matches},
		{noMFA, `{"eventName":"ConsoleLogin","additionalEventData":{"MFAUsed":"Yes"},"userIdentity":{"type":"IAMUser"},"responseElements":{"ConsoleLogin":"Success"}}`, Differs},
		{unauthorizedCall, `{"errorCode":"Client.UnauthorizedOperation"}`, Matches},
		{unauthorizedCall, `{"errorCode":"AccessDeniedException"}`, Matches},
		{unauthorizedCall, `{"eventName":"DescribeInstances"}`, Differs},
		{keys, `{"eventSource":"kms.amazonaws.com","eventName":"DisableKey"}`, Matches},
		{keys, `{"eventSource":"kms.amazonaws.com","eventName":"Decrypt"}`, Differs},
		// Seen on AWS: github.com/DataBiosphere/azul/issues/5884.
		{
			`{($.errorCode = "AccessDenied") && ($.userIdentity.invokedBy != "cloudfront.amazonaws.com")}`,
			`{"errorCode":"AccessDenied","userIdentity":{"accountId":"anonymous"}}`, Differs,
		},
	} {
		if got := parsed(t, c.pattern).Judge(c.line); got != c.want {
			t.Errorf("%s on %s: %s, want %s", c.pattern, c.line, got, c.want)
		}
	}
}

func TestWhatAwsDoesNotTell(t *testing.T) {
	for _, c := range []struct{ pattern, line string }{
		{`{ $.code = "400" }`, `{"code":400}`},
		{`{ $.code > 3 }`, `{"code":"4"}`},
		{`{ $.code = 400 }`, `{"code":"4e2"}`},
		{`{ $.code = %4% }`, `{"code":4}`},
		{`{ $.code = true }`, `{"code":true}`},
		{`{ $.code = * }`, `{"code":null}`},
		{`{ $.code IS TRUE }`, `{"code":"true"}`},
		{`{ $.list[*] != "a" }`, `{"list":["a","b"]}`},
		{`{ $.code = "400" || $.other = 1 }`, `{"code":400}`},
		{`[w1=ERROR, w2]`, errorEvent},
		{`[a, b]`, `a  b`},
		{`[a, b]`, `a b="c d"`},
		{`[a > 1]`, `b`},
	} {
		p := parsed(t, c.pattern)
		if got := p.Judge(c.line); got != Undocumented || p.Match(c.line) {
			t.Errorf("%s on %s: %s", c.pattern, c.line, got)
		}
	}
	// What is undocumented does not count where the rest decides.
	for pattern, want := range map[string]Verdict{
		`{ $.code = "400" || $.other = 1 }`: Matches,
		`{ $.code = "400" && $.other = 2 }`: Differs,
	} {
		if got := parsed(t, pattern).Judge(`{"code":400,"other":1}`); got != want {
			t.Errorf("%s: %s, want %s", pattern, got, want)
		}
	}
}

func TestRefused(t *testing.T) {
	for pattern, want := range map[string]string{
		strings.Repeat("a", MaxCharacters+1): "at character 1025: a metric filter takes 1024 characters, this pattern has 1025: split it",
		"a \xff":                             "not UTF-8",
		`[ERROR`:                             `expected "," or "]"`,
		`[]`:                                 "names no field",
		`[a, ..., b, ...]`:                   "one ellipsis",
		`[a = b c]`:                          `expected "," or "]"`,
		`[a = b || c = d]`:                   "expected a condition on a",
		`[a] b`:                              "nothing can follow",
		`foo-bar`:                            "double quotation marks",
		`ERROR: it`:                          "double quotation marks",
		`"open`:                              "at character 1: the quotation mark is not closed",
		`"a\b"`:                              "a backslash stands before",
		`ERROR ""`:                           "an empty term",
		`ERROR %a%`:                          "double quotation marks",
		`%a% ERROR`:                          "nothing can follow a regular expression",
		`%a`:                                 "not closed by %",
		`%%`:                                 "is empty",
		`%something!%`:                       `can't have '!'`,
		`%(a)%`:                              `can't have '('`,
		`%ä%`:                                "can't have",
		`%a**%`:                              "nothing to repeat",
		`%*a%`:                               "nothing to repeat",
		`%a{2}{3}%`:                          "nothing to repeat",
		`%a{x}%`:                             "{x} is no repetition",
		`%a{1%`:                              "brace is not closed",
		`%a]%`:                               "where no bracket is open",
		`%[[a]]%`:                            "for a bracket in a class",
		`%[]a]%`:                             "for a bracket in a class",
		`%[^]a]%`:                            "for a bracket in a class",
		`%[a%`:                               "can't be read",
		`%\n%`:                               "after a backslash",
		`%\xff%`:                             "after a backslash",
		`{}`:                                 "expected a property selector",
		`{ $ = 1 }`:                          "expected a key after $",
		`{ $.a }`:                            "expected one of",
		`{ $.a = }`:                          "double quotation marks",
		`{ $.a == 1 }`:                       "double quotation marks",
		`{ $.a = 'b' }`:                      "double quotation marks",
		`{ $.a = a:b }`:                      `expected "&&"`,
		`{ $.a = Ev*ent }`:                   "beginning and at the end",
		`{ $.a > b }`:                        `compares with a number, "b" is none`,
		`{ $.a > "1" }`:                      `compares with a number`,
		`{ $.a > %1% }`:                      "= and != only",
		`{ $.a EXISTS }`:                     "CloudWatch has no EXISTS",
		`{ $.a IS NOT NULL }`:                "CloudWatch has no IS NOT",
		`{ $.a is null }`:                    "expected one of",
		`{ $.a NOT NULL }`:                   "expected EXISTS",
		`{ $.a[*] NOT EXISTS }`:              "no documented meaning",
		`{ $.a[*].b[*] = 1 }`:                "one wildcard",
		`{ $.a[*]=1 || $.b[*]=1 || $.c[*]=1 || $.*=1 }`: "3 wildcard selectors",
		`{ $.a = %a% || $.b = %b% || $.c = %c% }`:       "2 regular expressions",
		`{ $.a[x] = 1 }`:                    "expected an index",
		`{ $.a[1 = 1 }`:                     "expected ]",
		`{ $.a[99999999999999999999] = 1 }`: "so many elements",
		`{ $.["a"] = 1 }`:                   "expected a key of letters",
		`{ ($.a = 1 }`:                      `or ")"`,
		`{ $.a = 1`:                         `or "}"`,
		`{ $.a = 1 } x`:                     "nothing can follow",
		`{ ` + strings.Repeat("(", 100) + `$.a = 1`: "nested too deep",
		`{ $.a = 1 & $.b = 2 }`:                     `expected "&&"`,
	} {
		_, err := Parse(pattern)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: %v, want %q", pattern, err, want)
		}
	}
}

func TestTheLongestPattern(t *testing.T) {
	parsed(t, strings.Repeat("a", MaxCharacters))
	// Characters, not bytes.
	parsed(t, `"`+strings.Repeat("ä", MaxCharacters-2)+`"`)
}

func TestOnlyOneObjectIsJson(t *testing.T) {
	p := parsed(t, `{ $.a NOT EXISTS }`)
	for line, want := range map[string]bool{
		`{}`: true, ` {} `: true, `{}{}`: false, `{} x`: false, `[]`: false, `null`: false, `"a"`: false, ``: false, `{`: false, `host sshd: {}`: false,
	} {
		if p.Match(line) != want {
			t.Errorf("%q: %t", line, !want)
		}
	}
}

func TestAPatternIsItsText(t *testing.T) {
	const pattern = `{ $.a = 1 }`
	if got := parsed(t, pattern).String(); got != pattern {
		t.Error(got)
	}
}

func FuzzParse(f *testing.F) {
	for _, pattern := range []string{
		`ERROR -x ?"y"`, `%^a{1,2}[^b]\d$%`, `{ ($.a[0].b = "c*") && $.d NOT EXISTS || $.e IS NULL }`, `[a, b = 1 && b > 2, ..., c = %d%]`, `{ $.* != 1e3 }`,
	} {
		f.Add(pattern, `{"a":[{"b":"cd"}],"e":null}`)
		f.Add(pattern, apache)
	}
	f.Fuzz(func(t *testing.T, pattern, line string) {
		p, err := Parse(pattern)
		if err != nil {
			if p != nil {
				t.Error("a pattern beside an error")
			}
			return
		}
		v := p.Judge(line)
		if v < Differs || v > Matches || p.Match(line) != (v == Matches) || p.Judge(line) != v {
			t.Errorf("%q on %q: %d", pattern, line, v)
		}
		if again, err := Parse(" " + p.String() + " "); err != nil || again.Judge(line) != v {
			t.Errorf("%q on %q: another answer with blanks around it", pattern, line)
		}
	})
}

func parsed(t *testing.T, pattern string) *Pattern {
	t.Helper()
	p, err := Parse(pattern)
	if err != nil {
		t.Fatalf("%s: %v", pattern, err)
	}
	return p
}
