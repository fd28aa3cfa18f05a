package cost

// Use is what a month is assumed to use of a part, so that a line that depends on
// use shows a figure of the right size: a team of ten that opens 200 sessions.
type Use struct {
	// Quantity in the part's unit, for each resource that the part is a line of.
	Quantity float64
	// What says it in words.
	What string
}

var assumed = map[Part]Use{
	LogIngest:           {0.1, "assuming 0.1 GB a log group"},
	LogIngestInfrequent: {0.1, "assuming 0.1 GB a log group"},
	LogStorage:          {0.2, "assuming 0.2 GB a log group: a year of 0.1 GB, compressed"},
	LogMasking:          {0.1, "assuming 0.1 GB a masked log group"},
	LogScan:             {0.2, "assuming a query over 0.2 GB once"},
	FlowLogToLogs:       {1, "assuming 1 GB of flow logs"},
	FlowLogToS3:         {1, "assuming 1 GB of flow logs"},
	Firehose:            {1, "assuming 1 GB forwarded"},
	S3Standard:          {1, "assuming 1 GB a bucket"},
	S3Put:               {10, "assuming 10,000 a bucket"},
	S3InfrequentAccess:  {1, "assuming 1 GB there"},
	S3GlacierInstant:    {1, "assuming 1 GB there"},
	S3GlacierFlexible:   {1, "assuming 1 GB there"},
	S3DeepArchive:       {1, "assuming 1 GB there"},
	S3Inventory:         {0.1, "assuming 100,000 objects listed"},
	S3Replication:       {1, "assuming 1 GB replicated"},
	TrailCopy:           {0, "assuming that no other trail has the first copy"},
	TrailDataEvent:      {100, "assuming 100,000 data events"},
	ConfigEvaluation:    {20, "assuming 20 evaluations a rule"},
	InspectorCIS:        {1, "a scan of one instance a month"},
	FunctionCall:        {0.001, "assuming 1,000 calls a function"},
	FunctionSecondARM:   {25, "assuming 1,000 calls of 0.2 s a function"},
	FunctionSecondX86:   {25, "assuming 1,000 calls of 0.2 s a function"},
	SNSPublish:          {0.001, "assuming 1,000 messages"},
	SNSEmail:            {1, "assuming 1,000 messages a reader"},
	SQSRequest:          {0.001, "assuming 1,000 requests a queue"},
	ScheduleCall:        {0.001, "assuming 1,000 calls"},
	StateTransition:     {1, "assuming 1,000 transitions"},
	SparseMetric:        {0.05, "assuming data in one hour of 20"},
}

// Assumed is what a month is assumed to use of a part.
func Assumed(part Part) (Use, bool) {
	use, ok := assumed[part]
	return use, ok
}
