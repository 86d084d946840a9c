/* Any bytes as a sound file. */
#include "data/sound.h"
#include "base/memory.h"
#include "input.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct gle_error err = {0};
    struct gle_sound sound;
    long sum = 0;

    if (gle_sound_read(&sound, fuzz_file(bytes, size), 16000, 2.0, &err)) {
        if (!err.text[0] || sound.x)
            fuzz_fail("refused without an error, or with a sound");
        return 0;
    }
    for (size_t i = 0; i < sound.n; i++)
        sum += sound.x[i];
    if (!sound.n || sound.n > 2 * 16000 || sum > 32767L * 32000)
        fuzz_fail("a sound of a wrong length");
    gle_free(sound.x);
    return 0;
}
