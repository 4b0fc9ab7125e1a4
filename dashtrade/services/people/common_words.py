"""Words that passwords are most often built from: likes, games, brands and desk items, in the languages of
traders.

Written by hand, not a list of leaked passwords. `passwords` refuses each word with its variations: digits,
punctuation, doubling, look-alike characters, one or two letters more."""

from __future__ import annotations

KINDS = {
    "ways in": "password passwort passwd passw pass passcode passphrase motdepasse contrasena senha parola "
    "haslo heslo wachtwoord losenord salasana welcome willkommen bienvenue letme letmein "
    "opensesame admin administrator administrador login logon signin secret geheim sesame "
    "changeme default guest root test tester testing temp temporary access master private "
    "security secure system server service support manager user username account example sample "
    "demo backup",
    "here": "dashtrade tradingview trading trader trade bitcoin ethereum crypto money dollar profit broker "
    "stocks forex binance coinbase kraken alpaca schwab gemini solana dogecoin satoshi hodl lambo "
    "tothemoon millionaire rich cash gold silver diamond wallet",
    "keys": "qwerty qwertz azerty asdf asdfgh asdfghjkl zxcv zxcvbn zxcvbnm qazwsx wsxedc abcd abcdef",
    "love": "iloveyou loveyou lovely loveme love lover beloved sweetheart honey darling angel babygirl "
    "baby kisses forever princess prince queen king beautiful gorgeous sexy sunshine schatz "
    "liebling teamo amor tequiero monamour jetaime cherie tesoro bella bonita",
    "people": "michael jennifer jordan charlie daniel thomas robert andrew joshua matthew ashley jessica "
    "michelle nicole amanda anthony william richard alexander alexandra nicholas samantha "
    "elizabeth patrick brandon justin joseph steven george hannah martin stefan andreas "
    "christian sebastian tobias florian julian lukas maria carlos fernando roberto alejandro "
    "antonio francesco giuseppe marco pierre nicolas camille julien sophie olivia victoria "
    "rebecca stephanie taylor maggie harley ginger buster tigger rocky bailey cooper buddy bella "
    "lucky max oliver sarah laura anna peter paul simon",
    "animals": "dragon monkey tiger eagle falcon phoenix panther wolf wolves bulldog kitten kitty puppy "
    "doggie horse mustang dolphin butterfly spider scorpion cobra snake rabbit bunny turtle "
    "penguin panda shark lion bear",
    "games and stories": "pokemon pikachu minecraft fortnite roblox counterstrike warcraft starcraft halo "
    "zelda mario sonic naruto dragonball onepiece starwars skywalker vader yoda jedi "
    "startrek batman superman spiderman ironman wolverine avengers marvel hulk joker "
    "matrix merlin gandalf frodo hobbit harrypotter hogwarts potter snoopy garfield "
    "mickey minnie donald bambi simba scooby tinkerbell cinderella barbie hellokitty "
    "spongebob simpsons bond godzilla terminator predator gamer player",
    "sport": "football fussball futbol soccer baseball basketball softball hockey tennis golf golfer rugby "
    "cricket volleyball boxing swimming skating surfer liverpool arsenal chelsea manchester "
    "everton barcelona realmadrid juventus bayern dortmund schalke milan ajax celtic rangers "
    "lakers yankees redsox cowboys steelers packers patriots raiders dodgers giants eagles "
    "dolphins broncos celtics bulls ronaldo messi beckham zidane maradona kobe champion winner",
    "engines": "ferrari porsche mercedes corvette camaro lamborghini maserati bugatti bmwm yamaha honda "
    "suzuki kawasaki ducati toyota nissan subaru audi volkswagen chevrolet chevy dodge jeep "
    "harleydavidson racing turbo driver ducky truck",
    "music": "metallica nirvana slipknot eminem beatles rolling blink greenday linkinpark ironmaiden acdc "
    "guitar drummer music rockstar "
    "rocknroll hiphop rapper elvis madonna shakira rihanna beyonce bieber onedirection",
    "seasons and days": "summer winter spring autumn sommer herbst fruehling verano invierno monday "
    "tuesday wednesday thursday friday saturday sunday montag freitag sonntag january "
    "february march april june july august september october november december januar "
    "februar maerz oktober dezember christmas easter halloween birthday holiday "
    "vacation weekend",
    "places": "america england france germany deutschland italia espana brasil mexico canada australia "
    "russia china india london paris berlin hamburg muenchen madrid roma newyork boston chicago "
    "dallas houston texas florida california hollywood vegas lasvegas miami phoenix austin "
    "denver seattle sydney tokyo moscow home house school",
    "things": "computer internet google facebook youtube instagram twitter amazon apple samsung nokia "
    "microsoft windows linux android iphone playstation xbox nintendo netflix cookie chocolate "
    "cheese pizza banana orange cherry peanut pepper coffee pumpkin flower rose daisy lily "
    "sunflower rainbow star moonlight sunset ocean purple yellow green black white blue silver",
    "words": "freedom whatever hello hallo hola bonjour ciao trustno nothing something anything everything "
    "magic mystery shadow killer hunter warrior ninja samurai knight wizard pirate ranger sniper "
    "soldier assassin legend destiny heaven hell devil demon satan lucifer jesus christ blessed "
    "faith hope grace peace happy smile crazy freak loser idiot fuckyou fuckoff fuck bitch "
    "asshole bigdick pussy letsgo please thankyou goodbye awesome super cool power energy thunder "
    "lightning storm fire ice",
}


def words() -> tuple[str, ...]:
    """Longest first: "letmein" before "letme"."""
    return tuple(
        sorted(
            {word for kind in KINDS.values() for word in kind.split()}, key=lambda word: (-len(word), word)
        )
    )
