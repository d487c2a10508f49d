//! Tokens and keys that others made: the examples of the RFCs, and tokens of Node's `crypto`.

/// RFC 7515, appendix A.1; its claims are the example of RFC 7519, section 3.1.
pub(crate) const RFC7515_HS256: &str = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQo\
    gImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOE\
    jXk";
/// The key of it, as `k` of its JWK.
pub(crate) const RFC7515_HS256_KEY: &str =
    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
/// RFC 7515, appendix A.2.
pub(crate) const RFC7515_RS256: &str = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGx\
    lLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5R\
    Zmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrn\
    byTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHW\
    EsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0ig\
    cN_IoypGlUPQGe77Rw";
/// The key of it, as `n` of its JWK; `e` is `AQAB`.
pub(crate) const RFC7515_RS256_N: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt\
    0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSX\
    ndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5\
    IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
/// RFC 7515, appendix A.3.
pub(crate) const RFC7515_ES256: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGx\
    lLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8I\
    SlSApmWQxfKTUJqPP3-Kg6NU1Q";
/// The key of it, as `x` of its JWK.
pub(crate) const RFC7515_ES256_X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
/// The key of it, as `y` of its JWK.
pub(crate) const RFC7515_ES256_Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
/// RFC 8037, appendix A.4. It has no claims.
pub(crate) const RFC8037_EDDSA: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09P\
    GcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
/// The key of it, as `x` of its JWK (appendix A.2).
pub(crate) const RFC8037_EDDSA_X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
/// RFC 7519, section 6.1: signed with nothing.
pub(crate) const RFC7519_NONE: &str = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxl\
    LmNvbS9pc19yb290Ijp0cnVlfQ.";
/// An access token of RFC 9068 by Node: RS256, `kid` is `rsa`.
pub(crate) const NODE_RS256: &str = "eyJhbGciOiJSUzI1NiIsInR5cCI6ImF0K2p3dCIsImtpZCI6InJzYSJ9.eyJpc3MiOiJodHRwczovL2lkLmV4YW1\
    wbGUiLCJzdWIiOiJhbm4iLCJhdWQiOlsiYmVsbHdpcmUiLCJvdGhlciJdLCJleHAiOjE5MDAwMDAwMDAsIm5iZiI\
    6MTcwMDAwMDAwMCwiaWF0IjoxNzAwMDAwMDAwLjUsImp0aSI6InQxIiwiZ3JvdXBzIjpbInBheW1lbnRzIiwic2V\
    hcmNoIl0sInRlYW0iOiJwYXltZW50cyIsInJlYWxtX2FjY2VzcyI6eyJyb2xlcyI6WyJvcGVyYXRvciJdfSwibGV\
    2ZWwiOjN9.gcqkvPfFlCX9T2v7uzF6L49DgOoOXQ1bcj4zsT3w-u6WPTjsRdtWbkyFX745IOLAGcyaeFWJkeer9j\
    NCI4JS9maCJ_PW_ERaUBY8p0JA6UCTqhGwIBF4QbQps8VVlVCBpLrvX1uR2Tx_eLkZLpoZ0k0Gvm3S-NxklmVmHN\
    XK3yvATddsuoChbZ51T5D04uWBqbmRaNE_1Z8cgfXebqzZRk5XGf3L76JAFZJc5Atd5cunxhWhda5vnAaw88chBU\
    _u_b8ElpLyw4ziz62vZzRN-1Fc_bSBXpcrDrQ9Gh74Paqapafr0ovJG0y9EC9lEZgjr02zIp8Mmj1vwRN9bZqWdA";
/// The key of it.
pub(crate) const NODE_RS256_PEM: &str = "\
-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAxRRTeP+KpmKTDSdLeILk
ZC18T0vbHZ0CSxruQsaEnoD1uNX+tVhneT7fWRRMih4pqa31yZg6tfPGtF3Y6N6s
GnXNM2Kt45VM0+OE/I/6s/zc16NM8QooWn5PRvHnF35xXruX+K5sPTkFfjvY/x6N
EiSoF+z60cb3x0jjxH9IE0WFHV6jc+KiFF3OBZ4LduZFJxNhNAZZtbKAiA5qWbfx
M78J/wLPJOCSh7ttbOOe6fGKtp/reXLf6KEi++ZyLXLsDAh3XBluPZFwO0SMWRKZ
Sac9xEBPyHK6o1XWygyM/OHrZd9xS52c3Sk26Ccoz5cxktE9ZzoranvOSNcHRe8E
2wIDAQAB
-----END PUBLIC KEY-----
";
/// The same claims with ES256; `kid` is `ec`.
pub(crate) const NODE_ES256: &str = "eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCIsImtpZCI6ImVjIn0.eyJpc3MiOiJodHRwczovL2lkLmV4YW1w\
    bGUiLCJzdWIiOiJhbm4iLCJhdWQiOlsiYmVsbHdpcmUiLCJvdGhlciJdLCJleHAiOjE5MDAwMDAwMDAsIm5iZiI6\
    MTcwMDAwMDAwMCwiaWF0IjoxNzAwMDAwMDAwLjUsImp0aSI6InQxIiwiZ3JvdXBzIjpbInBheW1lbnRzIiwic2Vh\
    cmNoIl0sInRlYW0iOiJwYXltZW50cyIsInJlYWxtX2FjY2VzcyI6eyJyb2xlcyI6WyJvcGVyYXRvciJdfSwibGV2\
    ZWwiOjN9.AZDXMtwiLFtxVNcOBF7rgYdNPMjGFmiqKaoTFWr7yG0gb1UxfbgHjgfqJTWORoP5VHiki6smAjxTFGI\
    GZBDhVw";
/// Its signature as ASN.1, which is how X.509 has it and JWS does not.
pub(crate) const NODE_ES256_DER: &str = "MEYCIQCdCHX9SCMLXc2d5OBuUIOukrx25miYOxjg_Q7fngOSRAIhAP8H_wy4c-DBP2lHyN7mrLyAq47UbgY5yvYo\
    RytPxnWu";
/// The key of it, as `x` of its JWK.
pub(crate) const NODE_ES256_X: &str = "R0755pCHecmjqODiUqGFA9UMECjkadEuVWbx0QF8Eg4";
/// The key of it, as `y` of its JWK.
pub(crate) const NODE_ES256_Y: &str = "SAQvWs8gABtyWp-bP3laaQymDlLylqMf0xNEXVemQGA";
/// The same claims with Ed25519, by the key of RFC 8037; `kid` is `ed`.
pub(crate) const NODE_EDDSA: &str = "eyJhbGciOiJFZERTQSIsInR5cCI6IkpXVCIsImtpZCI6ImVkIn0.eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUi\
    LCJzdWIiOiJhbm4iLCJhdWQiOlsiYmVsbHdpcmUiLCJvdGhlciJdLCJleHAiOjE5MDAwMDAwMDAsIm5iZiI6MTcw\
    MDAwMDAwMCwiaWF0IjoxNzAwMDAwMDAwLjUsImp0aSI6InQxIiwiZ3JvdXBzIjpbInBheW1lbnRzIiwic2VhcmNo\
    Il0sInRlYW0iOiJwYXltZW50cyIsInJlYWxtX2FjY2VzcyI6eyJyb2xlcyI6WyJvcGVyYXRvciJdfSwibGV2ZWwi\
    OjN9.Rr-RHXv1EASDScINifNSPrXKfsciwuzFrUhkeVOUEXJIsohlJ8jLHVySVaiKWjGp1cQxjb4H9DvatO_JpHS\
    fCA";
