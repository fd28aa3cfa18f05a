package identity

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

// Parameters is what is asked of Parameter Store.
type Parameters interface {
	GetParameters(context.Context, *ssm.GetParametersInput, ...func(*ssm.Options)) (*ssm.GetParametersOutput, error)
	PutParameter(context.Context, *ssm.PutParameterInput, ...func(*ssm.Options)) (*ssm.PutParameterOutput, error)
}

// attempts of each request, a second after the first and twice as long after
// each further one: an endpoint, a role or a resolver that is still coming up.
const (
	attempts    = 5
	firstPause  = time.Second
	requestTime = 8 * time.Second
)

// NewParameters asks Parameter Store of a region, with the role of the instance.
func NewParameters(ctx context.Context, region string) (Parameters, error) {
	loaded, err := config.LoadDefaultConfig(ctx, config.WithRegion(region),
		config.WithRetryer(func() aws.Retryer { return aws.NopRetryer{} }))
	if err != nil {
		return nil, err
	}
	return ssm.NewFromConfig(loaded), nil
}

type store struct {
	api   Parameters
	pause time.Duration
}

// retry runs try until it is done, fails for good, or was tried often enough.
func (s store) retry(ctx context.Context, try func(context.Context) (done bool, err error)) error {
	pause := s.pause
	for attempt := 1; ; attempt++ {
		limited, cancel := context.WithTimeout(ctx, requestTime)
		done, err := try(limited)
		cancel()
		if done || attempt == attempts || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
			pause *= 2
		}
	}
}

// get reads parameters. One that does not exist is not in the answer; one that
// the service says nothing of is an error, never taken for one that doesn't exist.
func (s store) get(ctx context.Context, names ...string) (map[string]types.Parameter, error) {
	found := map[string]types.Parameter{}
	// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameters.html
	for some := range slices.Chunk(names, 10) {
		err := s.retry(ctx, func(ctx context.Context) (bool, error) {
			answer, err := s.api.GetParameters(ctx, &ssm.GetParametersInput{Names: some, WithDecryption: aws.Bool(true)})
			if err != nil {
				return false, err
			}
			for _, parameter := range answer.Parameters {
				found[aws.ToString(parameter.Name)] = parameter
			}
			for _, name := range some {
				if _, ok := found[name]; !ok && !slices.Contains(answer.InvalidParameters, name) {
					return false, fmt.Errorf("the answer says neither what the parameter %s is nor that it doesn't exist", name)
				}
			}
			return true, nil
		})
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

// add puts a parameter that must not exist yet. exists tells that it does, be it
// from this request, whose answer got lost.
func (s store) add(ctx context.Context, input *ssm.PutParameterInput) (exists bool, err error) {
	input.Overwrite = aws.Bool(false)
	err = s.retry(ctx, func(ctx context.Context) (bool, error) {
		_, err := s.api.PutParameter(ctx, input)
		var already *types.ParameterAlreadyExists
		if errors.As(err, &already) {
			exists = true
			return true, nil
		}
		return err == nil, err
	})
	return exists, err
}

// set puts a parameter, whether it exists or not.
func (s store) set(ctx context.Context, input *ssm.PutParameterInput) error {
	input.Overwrite = aws.Bool(true)
	return s.retry(ctx, func(ctx context.Context) (bool, error) {
		_, err := s.api.PutParameter(ctx, input)
		return err == nil, err
	})
}

// wait reads a parameter that another instance has just put.
func (s store) wait(ctx context.Context, name string) (parameter types.Parameter, err error) {
	err = s.retry(ctx, func(ctx context.Context) (bool, error) {
		found, err := store{api: s.api, pause: s.pause}.get(ctx, name)
		if err != nil {
			return true, err
		}
		var ok bool
		if parameter, ok = found[name]; !ok {
			return false, fmt.Errorf("%s exists already when it is put, and doesn't when it is read", name)
		}
		return true, nil
	})
	return parameter, err
}
