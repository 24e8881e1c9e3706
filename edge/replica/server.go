package replica

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"

	"github.com/nats-io/nats-server/v2/server"
)

// ErrServerConfig says that a NATS server's configuration is wrong, or opens it to everybody.
var ErrServerConfig = errors.New("wrong configuration of the NATS server")

// RunServer runs a NATS server as configFile says, which is in the format of nats-server, until ctx ends; then it hands over what it leads
// and stops. It reads the file again for each value from reload; a faulty one is logged and the server goes on as before. It logs to log
// only, a notice of the server as information.
//
// A listener that other machines can reach must ask callers who they are: its error wraps ErrServerConfig, as for a file with other faults.
func RunServer(ctx context.Context, configFile string, reload <-chan struct{}, log *slog.Logger) error {
	o, err := serverOptions(configFile)
	if err != nil {
		return err
	}
	s, err := startServer(o, &serverLog{log: log, notices: slog.LevelInfo})
	if err != nil {
		return fmt.Errorf("start NATS server: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		s.WaitForShutdown()
		close(ended)
	}()
	for {
		select {
		case <-ctx.Done():
			s.Shutdown() // steps down from what it leads first: clients miss a tenth of a second, not an election
			<-ended
			return nil
		case <-ended:
			return errors.New("the NATS server ended by itself: see what it logged before")
		case <-reload:
			o, err := serverOptions(configFile)
			if err == nil {
				err = s.ReloadOptions(o)
			}
			if err != nil {
				log.Error("configuration not reloaded, the one in force stays", "file", configFile, "error", err.Error())
			} else {
				log.Info("configuration reloaded", "file", configFile)
			}
		}
	}
}

// serverOptions reads the file. Signals and the log are this program's.
func serverOptions(configFile string) (*server.Options, error) {
	o, err := server.ProcessConfigFile(configFile)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrServerConfig, configFile, err)
	}
	if o.LogFile != "" || o.Syslog || o.RemoteSyslog != "" {
		return nil, fmt.Errorf("%w: %s: log_file and syslog: this program logs to stderr only: leave them out", ErrServerConfig, configFile)
	}
	if faults := openListeners(o); len(faults) > 0 {
		return nil, fmt.Errorf("%w: %s: %s", ErrServerConfig, configFile, strings.Join(faults, "\n  "))
	}
	o.NoSigs, o.NoLog = true, true
	return o, nil
}

// openListeners returns what is wrong with each listener that other machines can reach and that asks nobody who they are.
//
// TLS counts where callers must show a certificate. A user for those who name none (no_auth_user) lets everybody in.
func openListeners(o *server.Options) (faults []string) {
	check := func(what, host string, port int, asks bool, mend string) {
		if port == 0 || asks || loopback(host) {
			return
		}
		if host == "" {
			host = server.DEFAULT_HOST
		}
		faults = append(faults, fmt.Sprintf("%s listens on %s, which other machines can reach, and asks nobody who they are: %s, or listen on 127.0.0.1",
			what, net.JoinHostPort(host, strconv.Itoa(port)), mend))
	}
	users := o.Username != "" || o.Authorization != "" || len(o.Users)+len(o.Nkeys)+len(o.TrustedKeys)+len(o.TrustedOperators) > 0 || o.AuthCallout != nil
	clients := o.NoAuthUser == "" && (users || verifies(o.TLSConfig))
	const authorization = "give it an authorization block, or TLS with verify: true"
	clientPort := o.Port
	if clientPort == 0 {
		clientPort = server.DEFAULT_PORT
	}
	if !o.DontListen {
		check("the client listener", o.Host, clientPort, clients, authorization)
	}
	c := &o.Cluster
	check("cluster", c.Host, c.Port, c.Username != "" || verifies(c.TLSConfig), authorization)
	g := &o.Gateway
	check("gateway", g.Host, g.Port, g.Username != "" || verifies(g.TLSConfig), authorization)
	l := &o.LeafNode
	check("leafnodes", l.Host, l.Port, clients || l.Username != "" || l.Nkey != "" || len(l.Users) > 0 || verifies(l.TLSConfig), authorization)
	w := &o.Websocket
	check("websocket", w.Host, w.Port, w.NoAuthUser == "" && (clients || w.Username != "" || w.Token != "" || verifies(w.TLSConfig)), authorization)
	m := &o.MQTT
	check("mqtt", m.Host, m.Port, m.NoAuthUser == "" && (clients || m.Username != "" || m.Token != "" || verifies(m.TLSConfig)), authorization)
	monitor := o.HTTPHost
	if monitor == "" {
		monitor = o.Host
	}
	check("http (monitoring)", monitor, o.HTTPPort, false, "use https")
	check("https (monitoring)", monitor, o.HTTPSPort, o.TLSConfig != nil, "give the server TLS")
	check("prof_port", o.Host, o.ProfPort, false, "leave it out")
	return faults
}

func verifies(c *tls.Config) bool {
	return c != nil && c.ClientAuth == tls.RequireAndVerifyClientCert
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
