package redis

import (
	"context"

	goredis "github.com/redis/go-redis/v9"
)

// A script of Lua that runs in pipelines: by its hash, and by its text where a server does not know it yet, or no longer.
type script struct {
	source string
	hash   string
}

func newScript(source string) script { return script{source, goredis.NewScript(source).Hash()} }

// A run of a script in a pipeline.
type run struct {
	script script
	keys   []string
	args   []any
	cmd    *goredis.Cmd
}

func (s script) in(ctx context.Context, p goredis.Pipeliner, keys []string, args ...any) *run {
	return &run{s, keys, args, p.EvalSha(ctx, s.hash, keys, args...)}
}

// exec sends a pipeline, and again the scripts that a server did not know. Each command has its own error; the one that it returns is the first.
func exec(ctx context.Context, c goredis.UniversalClient, p goredis.Pipeliner, runs []*run) error {
	_, err := p.Exec(ctx)
	var again goredis.Pipeliner
	for _, r := range runs {
		if !goredis.HasErrorPrefix(r.cmd.Err(), "NOSCRIPT") {
			continue
		}
		if again == nil {
			again = c.Pipeline()
		}
		r.cmd = again.Eval(ctx, r.script.source, r.keys, r.args...)
	}
	if again == nil {
		return err
	}
	if _, err := again.Exec(ctx); err != nil {
		return err
	}
	return nil
}

// one runs a script by itself.
func (s script) one(ctx context.Context, c goredis.UniversalClient, keys []string, args ...any) (any, error) {
	p := c.Pipeline()
	r := s.in(ctx, p, keys, args...)
	if err := exec(ctx, c, p, []*run{r}); err != nil {
		return nil, err
	}
	return r.cmd.Val(), nil
}
