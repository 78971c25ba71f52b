/* Aim: the verb `sim` alone as a program, so that tests/local/sim.py can run it. */
#include "app/cmd.h"

int main(int argc, char **argv)
{
    return mr_cmd_sim(argc, argv);
}
