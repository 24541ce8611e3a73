package outputs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
)

// TLS says whom to trust and who we are. All of it is optional: the system's
// authorities are trusted unless ca_file names others.
type TLS struct {
	CAFile   string `toml:"ca_file"`   // PEM file of the authorities that may have signed the receiver's certificate
	CertFile string `toml:"cert_file"` // our certificate, for receivers that ask for one; read again at each connection
	KeyFile  string `toml:"key_file"`
	// ServerName is the name the receiver's certificate must bear, where it differs from the one in the URL.
	ServerName string `toml:"server_name"`
}

func (t TLS) isSet() bool { return t != TLS{} }

func (t TLS) check(report reporter) {
	if (t.CertFile == "") != (t.KeyFile == "") {
		report("tls.cert_file", "a certificate needs its key and a key its certificate", "set both cert_file and key_file")
		return
	}
	if _, err := t.config(); err != nil {
		report("tls", err.Error(), "check that the files are PEM and that the detector may read them")
	}
}

func (t TLS) config() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read ca_file: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read ca_file %s: no PEM certificate in it", t.CAFile)
		}
	}
	if t.CertFile != "" {
		load := func() (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
			if err != nil {
				return nil, fmt.Errorf("load client certificate %s: %w", t.CertFile, err)
			}
			return &pair, nil
		}
		if _, err := load(); err != nil {
			return nil, err
		}
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return load() }
	}
	return c, nil
}

// tlsHint returns the remedy for an error of the handshake, or "".
func tlsHint(err error) string {
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var remote *net.OpError // crypto/tls has no type of its own for what the other side objects to
	var header tls.RecordHeaderError
	switch {
	case errors.As(err, &authority):
		return "the receiver's certificate is signed by an authority that is not trusted here: name it with tls.ca_file"
	case errors.As(err, &name):
		return "the receiver's certificate bears another name: use that name in the URL, or set tls.server_name"
	case errors.As(err, &header):
		return "the receiver does not speak TLS there: check scheme and port"
	case errors.As(err, &remote) && remote.Op == "remote error":
		return "the receiver ended the TLS handshake: it may want a client certificate, set tls.cert_file and tls.key_file"
	}
	return ""
}
