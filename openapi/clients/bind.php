<?php
// A bind with the client that openapi-generator makes for PHP: php bind.php URL FOLDER-OF-THE-CLIENT

use OpenAPI\Client\Api\BindingApi;
use OpenAPI\Client\Api\SessionApi;
use OpenAPI\Client\Configuration;
use OpenAPI\Client\Model\BindMobileRequest;
use OpenAPI\Client\Model\SendVerificationCodeRequest;
use OpenAPI\Client\Model\SessionTokenRequest;

[, $url, $folder] = $argv;
// Guzzle comes by Composer, or by the system's package.
$composer = "$folder/vendor/autoload.php";
require_once is_file($composer) ? $composer : '/usr/share/php/GuzzleHttp/autoload.php';
spl_autoload_register(function (string $class) use ($folder): void {
    $file = $folder . '/lib/' . str_replace(['OpenAPI\\Client\\', '\\'], ['', '/'], $class) . '.php';
    if (is_file($file)) {
        require_once $file;
    }
});

function expect(bool $condition, mixed $seen): void
{
    if (!$condition) {
        fwrite(STDERR, 'not as it should be: ' . print_r($seen, true) . "\n");
        exit(1);
    }
}

$mobile = '13900000003';
$uuid = bin2hex(random_bytes(16));
$configuration = (new Configuration())->setHost($url);
$binding = new BindingApi(new GuzzleHttp\Client(), $configuration);
$session = new SessionApi(new GuzzleHttp\Client(), $configuration);

$sent = $binding->sendVerificationCode(new SendVerificationCodeRequest(['mobile' => $mobile]), uuid: $uuid);
expect($sent->getCode() === 0, $sent);

$code = json_decode(file_get_contents("$url/dev/sms?mobile=$mobile"))[0]->code;
$wrong = $code === '0000' ? '0001' : '0000';
$refused = $binding->bindMobile(new BindMobileRequest(['mobile' => $mobile, 'verify' => $wrong]), uuid: $uuid);
expect($refused->getCode() === -11, $refused);

$request = new BindMobileRequest([
    'mobile' => $mobile, 'verify' => $code, 'nickname' => 'qqqqqq', 'gender' => '0',
    'weixin_openid' => 'openid-of-php',
]);
$bound = $binding->bindMobile($request, application_client_type: 'weixin', uuid: $uuid);
expect($bound->getCode() === 0 && $bound->getData()->getMobile() === $mobile, $bound);

$token = new SessionTokenRequest(['token' => $bound->getData()->getToken()]);
$found = $session->getTokenUser(session_token_request: $token);
expect($found->getCode() === 0 && $found->getData()->getId() === $bound->getData()->getId(), $found);
expect($session->logOut(session_token_request: $token)->getCode() === 0, 'the log-out');
echo 'openapi-generator, PHP: ', $bound->getData()->getMobileSecurity(), " is bound\n";
