#!/bin/sh
# Makes the certificates in this directory anew: sh make.sh (openssl 3, Go). They are valid from
# 2020 to 2120 and protect nothing.
set -eu
cd "$(dirname "$0")"
rm -f ./*.pem ./*.key
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT

# As Go programs make them: organisation-only authority, EC PRIVATE KEY.
go run make.go

# As operators make them with openssl: one authority per kind of key, the member ada under each.
: > "$work/index"
cat > "$work/config" <<CONFIG
[ca]
default_ca = here
[here]
database = $work/index
new_certs_dir = $work
rand_serial = yes
unique_subject = no
default_md = default
policy = anything
[anything]
organizationName = optional
commonName = optional
[authority]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign
subjectKeyIdentifier = hash
[member]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth,clientAuth
subjectAltName = DNS:ada,URI:spiffe://example.org/ns/prod/ada-spiffe,IP:10.0.0.1
CONFIG
request() { # name, subject, options of its key
    name=$1 subject=$2
    shift 2
    openssl genpkey "$@" -out "$name.key" 2>/dev/null
    openssl req -new -key "$name.key" -subj "$subject" -out "$work/$name.csr"
}
sign() { # name, kind, options that say who signs
    name=$1 kind=$2
    shift 2
    openssl ca -batch -notext -config "$work/config" -extensions "$kind" -in "$work/$name.csr" \
        -startdate 20200101000000Z -enddate 21200101000000Z "$@" -out "$name.pem" 2>/dev/null
}
authority() { # name, options of its key
    name=$1
    shift
    request "$name" "/O=Example/CN=$name" "$@"
    sign "$name" authority -selfsign -keyfile "$name.key"
}
member() { # authority, name, options of its key
    authority=$1 name=$2
    shift 2
    request "$name" /CN=ada "$@"
    sign "$name" member -cert "$authority.pem" -keyfile "$authority.key"
}
p256="-algorithm EC -pkeyopt ec_paramgen_curve:P-256"
authority rsa-ca -algorithm RSA -pkeyopt rsa_keygen_bits:2048
member rsa-ca rsa -algorithm RSA -pkeyopt rsa_keygen_bits:2048
openssl rsa -in rsa.key -traditional -out rsa-pkcs1.key 2>/dev/null
authority ed25519-ca -algorithm ED25519
member ed25519-ca ed25519 -algorithm ED25519
authority ec-ca $p256
member ec-ca p384 -algorithm EC -pkeyopt ec_paramgen_curve:P-384
member ec-ca rsa1024 -algorithm RSA -pkeyopt rsa_keygen_bits:1024
member ec-ca secp256k1 -algorithm EC -pkeyopt ec_paramgen_curve:secp256k1

# SEC1 with an EC PARAMETERS block before the key, and the same key in PKCS#8.
member ec-ca sec1 $p256
mv sec1.key sec1-pkcs8.key
{ openssl ecparam -name prime256v1; openssl ec -in sec1-pkcs8.key 2>/dev/null; } > sec1.key

# The same key behind the passphrase "secret", new style and old.
openssl pkcs8 -topk8 -in sec1-pkcs8.key -passout pass:secret -out encrypted.key
openssl ec -in sec1-pkcs8.key -aes128 -passout pass:secret -out encrypted-sec1.key 2>/dev/null

# A member two steps below its root: alone, and with the intermediate appended.
request intermediate /O=Example/CN=intermediate $p256
sign intermediate authority -cert ec-ca.pem -keyfile ec-ca.key
member intermediate below $p256
cat below.pem intermediate.pem > below-chain.pem

# Of the authorities' keys the tests need one, to see that it is refused.
rm rsa-ca.key ec-ca.key intermediate.key
chmod 644 ./*.pem
chmod 600 ./*.key
