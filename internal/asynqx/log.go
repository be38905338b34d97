package asynqx

import (
	"fmt"
	"log/slog"
	"strings"
)

// Log passes asynq's lines on. Its warnings are routine here: one for each task that fails or is put back.
type Log struct{ To *slog.Logger }

func (l Log) Debug(args ...any) { l.To.Debug(line(args)) }
func (l Log) Info(args ...any)  { l.To.Debug(line(args)) }
func (l Log) Warn(args ...any)  { l.To.Debug(line(args)) }
func (l Log) Error(args ...any) { l.To.Error(line(args)) }
func (l Log) Fatal(args ...any) { l.To.Error(line(args)) }

func line(args []any) string { return "asynq: " + strings.TrimSpace(fmt.Sprint(args...)) }
