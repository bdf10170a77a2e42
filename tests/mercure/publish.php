<?php
/*
 * Publishes one update with Symfony's Mercure component, and prints its id:
 *
 *	php publish.php URL KEY ALGORITHM '{"topics":["a"],"data":"x","private":true,…}'
 */
require 'Symfony/Component/Mercure/autoload.php';
require 'Symfony/Component/HttpClient/autoload.php';

use Symfony\Component\Mercure\Hub;
use Symfony\Component\Mercure\Jwt\StaticTokenProvider;
use Symfony\Component\Mercure\Update;

[, $url, $key, $algorithm, $text] = $argv;
$update = json_decode($text, true, 16, JSON_THROW_ON_ERROR);

$encode = static fn (string $bytes): string => rtrim(strtr(base64_encode($bytes), '+/', '-_'), '=');
$head = $encode(json_encode(['typ' => 'JWT', 'alg' => $algorithm]));
$claims = $encode(json_encode([
	'mercure' => ['publish' => $update['allowed'] ?? ['*']],
	'exp' => time() + 60,
]));
$hash = 'sha' . substr($algorithm, 2);
$token = "$head.$claims." . $encode(hash_hmac($hash, "$head.$claims", $key, true));

$hub = new Hub($url, new StaticTokenProvider($token));
echo $hub->publish(new Update(
	$update['topics'],
	$update['data'] ?? '',
	$update['private'] ?? false,
	$update['id'] ?? null,
	$update['type'] ?? null,
	$update['retry'] ?? null
));
